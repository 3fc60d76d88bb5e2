"""The command line as a user meets it: one sentence, the right exit code, nothing written on bad input."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import ua3dtalk
from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.main import main, run
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, log, track


def ua3dtalk_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ua3dtalk.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


COMMANDS = ["demo", "prepare", "import", "train", "synthesize", "evaluate", "ablate", "export", "priors", "doctor"]


def test_help_names_every_command(tmp_path: Path) -> None:
    done = ua3dtalk_process("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"usage: ua3dtalk {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["train"],
        ["train", "s"],
        ["train", "s", "--out"],
        ["train", "s", "--out", "a", "--seed", "x"],
    ],
)
def test_bad_usage_is_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert os.listdir(tmp_path) == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ua3dtalk {ua3dtalk.__version__}\n"


MISSING = [
    (["prepare", "gone.mp4", "--out", "s"], "the video gone.mp4 does not exist"),
    (["prepare", "--out", "s", "--", "-gone.mp4"], "the video -gone.mp4 does not exist"),
    (["prepare", ".", "--out", "s"], "the video . is a folder"),
    (["import", "gone", "--out", "s"], "the folder gone does not exist"),
    (["train", "gone", "--out", "a"], "the subject gone is not a folder"),
    (["train", ".", "--out", "a"], "the subject . holds no subject.json"),
    (["synthesize", "gone", "--audio", "a.wav", "--out", "o.mp4"], "the avatar gone is not a folder"),
    (["evaluate", "gone", "--out", "r"], "the avatar gone is not a folder"),
    (["export", "gone", "--out", "h.ply"], "the avatar gone is not a folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISSING)
def test_missing_input_is_one_sentence_and_nothing_is_written(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_the_same_as_a_process_of_its_own(tmp_path: Path) -> None:
    done = ua3dtalk_process("prepare", "no such video.mp4", "--out", "s", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ua3dtalk: the video no such video.mp4 does not exist.")
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that pass the first look, to reach the later checks."""
    monkeypatch.chdir(tmp_path)
    for name in ("subject/subject.json", "avatar/avatar.json", "video.mp4", "speech.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "empty.mp4").touch()
    return tmp_path


SPEAK = ["synthesize", "avatar", "--audio", "speech.wav", "--out", "o.mp4"]
WRONG = [
    (["prepare", "empty.mp4", "--out", "s"], "empty.mp4 is empty"),
    (["prepare", "video.mp4", "--out", "speech.wav"], "--out speech.wav is a file"),
    (["prepare", "video.mp4", "--out", "speech.wav/s"], "cannot be written"),
    (["prepare", "video.mp4", "--out", "s", "--size", "5"], "--size 5 is out of range"),
    (["prepare", "video.mp4", "--out", "s", "--start-s", "-1"], "--start-s -1.0 is before"),
    (["prepare", "video.mp4", "--out", "s", "--start-s", "nan"], "--start-s nan"),
    (["prepare", "video.mp4", "--out", "s", "--max-seconds", "0"], "--max-seconds 0.0 leaves nothing"),
    (["prepare", "video.mp4", "--out", "s", "--labels", "gone.csv"], "--labels gone.csv does not exist"),
    (["train", "subject", "--out", "a", "--max-steps", "0"], "--max-steps 0 leaves nothing"),
    (["train", "subject", "--out", "a", "--set", "steps"], "'steps' is not FIELD=VALUE"),
    (["train", "subject", "--out", "a", "--set", "a=1", "--set", "a=2"], "--set a is given twice"),
    (["train", "subject", "--out", "a", "--device", "gpu"], "'gpu' is not known"),
    (["synthesize", "avatar", "--audio", "gone.wav", "--out", "o.mp4"], "--audio gone.wav does not exist"),
    (["synthesize", "avatar", "--audio", "speech.wav", "--out", "o.avi"], "--out o.avi must end with .mp4"),
    (["synthesize", "avatar", "--audio", "video.mp4", "--out", "video.mp4"], "--out is the same file as --audio"),
    ([*SPEAK, "--intensity", "1.5"], "--intensity 1.5 is out of range"),
    ([*SPEAK, "--blink", "twice"], "--blink 'twice' is not known"),
    ([*SPEAK, "--pose", "gone.npz"], "--pose 'gone.npz' does not exist"),
    ([*SPEAK, "--confidence", "o.mp4"], "--confidence is the same file as --out"),
    ([*SPEAK, "--timeline", "speech.wav", "--emotion", "happy"], "exclude each other"),
    (["evaluate", "avatar", "--out", "r", "--subject", "gone"], "--subject gone is not a folder"),
    (["export", "avatar", "--out", "head.obj"], "--out head.obj must end with .ply"),
    (["export", "avatar", "--out", "head.ply", "--frame", "-1"], "--frame -1 does not exist"),
    (["export", "avatar", "--out", "head.ply", "--count", "0"], "--count 0 leaves nothing"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_wrong_values_are_named(
    arguments: list[str], sentence: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(made.rglob("*"))
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(made.rglob("*")) == before


@dataclass(frozen=True, kw_only=True)
class Raise(Command):
    """A command that ends as the test says."""

    error: BaseException | None = None
    when_stopped = "Go on with --resume."

    def run(self, progress: Progress) -> Report:
        log.info("a note")
        for _ in track(progress, "counting", range(3)):
            pass
        if self.error:
            raise self.error
        return Report("done", {"answer": 42})


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UserError("x is bad.", "Use y."), 2, "ua3dtalk: x is bad. Use y.\n"),
        (KeyboardInterrupt(), 130, "ua3dtalk: stopped. Go on with --resume.\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "ua3dtalk: the disk is full."),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 2, "ua3dtalk: the disk quota is used up."),
        (OSError(errno.EFBIG, "File too large", "a.mp4"), 2, "ua3dtalk: the file may not grow any larger (a.mp4)."),
        (OSError(errno.EIO, "Input/output error", "a"), 2, "ua3dtalk: the disk cannot be read or written (a)."),
        (OSError(errno.EROFS, "Read-only file system", "a"), 2, "ua3dtalk: the file system is read-only (a)."),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 2, "ua3dtalk: there is not enough memory."),
        (PermissionError(errno.EACCES, "denied", "a/b"), 2, "ua3dtalk: permission denied (a/b)."),
        (ZeroDivisionError("[red]"), 1, "ua3dtalk: unexpected ZeroDivisionError: [red]. This is a fault of ours"),
        (OSError("odd"), 1, "ua3dtalk: unexpected OSError: odd."),
    ],
)
def test_errors_become_a_sentence_and_a_code(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Raise(error=error, quiet=True)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(sentence)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "greedy",
    [
        lambda: bytearray(1 << 60),
        lambda: np.empty(1 << 60, np.uint8),
        lambda: torch.empty(1 << 60, dtype=torch.uint8),
        lambda: cv2.resize(np.zeros((1, 1), np.uint8), (1 << 30, 1 << 30)),
    ],
    ids=["Python", "NumPy", "PyTorch", "OpenCV"],
)
def test_too_little_memory_is_a_sentence(greedy: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    """The libraries' own errors, of four types."""
    with pytest.raises(Exception) as raised:
        greedy()
    assert run(Raise(error=raised.value, quiet=True)) == 2
    said = capsys.readouterr().err
    assert said.startswith("ua3dtalk: there is not enough memory. Close other programs") and len(said.splitlines()) == 1


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Raise(error=ZeroDivisionError("x"), debug=True)) == 1
    assert "Traceback" in capsys.readouterr().err


def test_result_goes_to_stdout_and_talk_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Raise()) == 0
    out, err = capsys.readouterr()
    assert out == "done\n"
    assert "a note" in err
    assert "counting" in err


def test_quiet_says_only_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Raise(quiet=True)) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Raise(json=True)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"answer": 42}
    assert err == ""
