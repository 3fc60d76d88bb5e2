"""One made folder and the subject that the command makes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # made_folder, for the tests beside it

from made_folder import MadeFolder, made_folder

from ua3dtalk.cli.main import main
from ua3dtalk.subject.store import Subject

BOMB = b"cos\nsystem\n(S'touch exploded'\ntR."
"""A pickle that leaves a file behind when it is loaded."""
_opened: list[str] = []
sys.addaudithook(lambda event, args: _opened.append(str(args[0])) if event == "open" else None)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeFolder:
    """80 frames of 192x192 without sound, in a path with spaces, and a ``track_params.pt`` that must not be opened."""
    made = made_folder(tmp_path_factory.mktemp("made") / "the actor, prepared")
    (made.folder / "track_params.pt").write_bytes(BOMB)
    return made


@pytest.fixture(scope="session")
def imported(made: MadeFolder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, list[str]]:
    """``ua3dtalk import`` of it, and every path that Python opened meanwhile."""
    out = tmp_path_factory.mktemp("imported") / "a subject"
    before = len(_opened)
    assert main(["import", str(made.folder), "--out", str(out), "--json", "--i-have-consent"]) == 0
    return Subject.open(out), _opened[before:]


@pytest.fixture
def subject(imported: tuple[Subject, list[str]]) -> Subject:
    """The imported subject."""
    return imported[0]


@pytest.fixture
def spoiled(made: MadeFolder, tmp_path: Path) -> Path:
    """A copy of the folder for a test to spoil."""
    return made.copy(tmp_path / "spoiled folder").folder
