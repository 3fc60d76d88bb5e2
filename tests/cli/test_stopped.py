"""Ctrl-C in the middle of each long command: one sentence that says how to go on, exit code 130, nothing half-written,
and the way that the sentence names works."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from ua3dtalk.cli import main as command_line
from ua3dtalk.cli.ablate import Ablate
from ua3dtalk.cli.command import Command
from ua3dtalk.cli.demo import Demo
from ua3dtalk.cli.evaluate import Evaluate
from ua3dtalk.cli.import_dataset import Import
from ua3dtalk.cli.prepare import Prepare
from ua3dtalk.cli.synthesize import Synthesize
from ua3dtalk.cli.train import Train


class Interrupting:
    """Progress during which the user presses Ctrl-C: a real SIGINT at the n-th step of the named bar."""

    def __init__(self, bar: str, step: int) -> None:
        self._bar, self._left, self._inside = bar, step, False

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Interrupting]:
        before, self._inside = self._inside, name.startswith(self._bar)
        yield self
        self._inside = before

    def advance(self, steps: int = 1, note: str = "") -> None:
        if self._inside:
            self._left -= steps
            if self._left <= 0:
                signal.raise_signal(signal.SIGINT)


def stopped(
    arguments: list[str], bar: str, step: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a command, press Ctrl-C in it, and hand back its last words."""

    def interrupting(console: Console, *, silent: bool) -> Interrupting:
        return Interrupting(bar, step)

    monkeypatch.setattr(command_line, "make_progress", interrupting)
    assert command_line.main([*arguments, "--quiet"]) == command_line.STOPPED
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err.strip().splitlines()[-1]


@pytest.fixture
def desk(small_avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the subject beside links to the avatar and the speech."""
    shutil.copytree(small_avatar / "subject", tmp_path / "subject")
    for name in ("avatar", "speech.wav", "actor"):
        (tmp_path / name).symlink_to(small_avatar / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left(desk: Path) -> set[str]:
    return {path.name for path in desk.rglob("*") if "subject" not in path.parts}


@pytest.mark.parametrize(
    ("arguments", "bar"),
    [
        (["synthesize", "avatar", "--audio", "speech.wav", "--out", "talk.mp4", "--confidence", "heat.mp4"], "synth"),
        (["evaluate", "avatar", "--out", "report"], "evaluate"),
    ],
)
def test_nothing_half_written_is_left(
    arguments: list[str], bar: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left(desk)
    assert "run the same command again" in stopped(arguments, bar, 3, monkeypatch, capsys)
    assert left(desk) - before <= {"report"}, "at most the folder itself"


def test_a_stopped_prepare_goes_on(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prepare", "actor/actor.mp4", "--out", "again", "--i-have-consent"]
    words = stopped([*arguments, "--max-seconds", "4"], "landmarks", 5, monkeypatch, capsys)
    assert words == f"ua3dtalk: stopped. {Prepare.when_stopped}"
    frames = {path: path.stat().st_mtime_ns for path in (desk / "again" / "frames").iterdir()}
    assert len(frames) == 100
    stopped([*arguments, "--max-seconds", "4"], "landmarks", 5, monkeypatch, capsys)
    assert {path: path.stat().st_mtime_ns for path in frames} == frames, "a finished stage is not done again"


def test_a_stopped_training_goes_on_with_resume(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it was stopped before its first checkpoint."""
    arguments = ["train", "subject", "--out", "new", "--max-steps", "40", "--set", "init.face_count=300"]
    assert stopped(arguments, "train mouth", 1, monkeypatch, capsys) == f"ua3dtalk: stopped. {Train.when_stopped}"
    stopped([*arguments, "--resume"], "train face", 1, monkeypatch, capsys)
    assert not (desk / "new" / "avatar.json").exists()


@pytest.mark.parametrize("command", [Ablate, Demo, Evaluate, Import, Prepare, Synthesize, Train])
def test_every_long_command_says_how_to_go_on(command: type[Command]) -> None:
    assert "same command" in command.when_stopped
