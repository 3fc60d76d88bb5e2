"""The numbered examples: scripts of Python are run on the small avatar, shell is understood line by line."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from command_lines import lines_of, understood

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_shell_is_understood(path: Path) -> None:
    for words in lines_of(path.read_text()):
        understood(words)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_python_runs(
    path: Path,
    small_avatar: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [path.name, str(small_avatar / "avatar"), str(small_avatar / "speech.wav")])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert list(tmp_path.glob("*.mp4"))


def test_they_are_numbered_and_listed() -> None:
    names = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh"))
    assert [int(name[:2]) for name in names] == list(range(1, len(names) + 1))
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"[{name}]({name})" in listed for name in names)
