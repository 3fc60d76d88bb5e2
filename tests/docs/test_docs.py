"""What the README and the docs say is run: every block of code is a command line that is understood, Python that works,
or marked as text; the generated pages are current; links lead somewhere; the site builds without a warning."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from command_lines import lines_of, understood

from ua3dtalk.recipes import presets

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
READ = {"text", "csv"}  # shown, not run
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.S | re.M)


def blocks(*languages: str) -> list[object]:
    """Blocks of code as parameters named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in FENCE.finditer(text):
            line = text[: match.start()].count("\n") + 1
            if not languages or match[1] in languages:
                found.append(pytest.param(match[1], match[2], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize(("language", "code"), blocks())
def test_every_block_says_what_it_is(language: str, code: str) -> None:
    assert language in {"bash", "python"} | READ


@pytest.mark.parametrize(("language", "code"), blocks("bash"))
def test_command_lines_are_understood(language: str, code: str) -> None:
    for words in lines_of(code):
        understood(words)


@pytest.mark.parametrize("wrong", ["ua3dtalk trian me", "ua3dtalk train me --otu a", "make damo", "rm -rf /"])
def test_the_check_itself_sees_mistakes(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((SystemExit, AssertionError, pytest.fail.Exception)):
        understood(shlex.split(wrong))


@pytest.fixture
def desk(small_avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recordings that the docs name, a prepared subject, and trainings of six steps."""
    shutil.copy(small_avatar / "actor" / "actor.mp4", tmp_path / "me.mp4")
    shutil.copy(small_avatar / "actor" / "emotion.csv", tmp_path / "me.csv")
    shutil.copy(small_avatar / "speech.wav", tmp_path / "speech.wav")
    shutil.copytree(small_avatar / "subject", tmp_path / "me")
    monkeypatch.chdir(tmp_path)
    few = replace(presets.quick(), init=replace(presets.quick().init, face_count=300, mouth_count=60))
    few = presets.shortened(few, 6)
    monkeypatch.setattr(presets, "quick", lambda: few)
    return tmp_path


@pytest.mark.parametrize(("language", "code"), blocks("python"))
def test_python_works(language: str, code: str, desk: Path) -> None:
    exec(compile(code, "block", "exec"), {"__name__": "__main__"})


def test_generated_pages_are_current(program: Callable[[str], ModuleType]) -> None:
    for name, text in program("scripts/reference.py").pages().items():
        assert (ROOT / "docs" / name).read_text() == text, f"docs/{name}: run `python scripts/reference.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text())):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed: pip install 'ua3dtalk[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / "site" / f"{page.stem}.html").is_file()
    index = (tmp_path / "site" / "index.html").read_text()
    loaded = re.findall(r'(?:<script[^>]+src|<link[^>]+rel="stylesheet"[^>]+href)="(https?:[^"]+)', index)
    assert not loaded, "the pages load nothing from elsewhere"
