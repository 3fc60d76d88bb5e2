"""The Python API: the commands' names, options, defaults and errors; nothing heavy before its first use."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tyro.conf import UseAppendAction

import ua3dtalk
from ua3dtalk import api
from ua3dtalk.cli.command import Command
from ua3dtalk.cli.evaluate import Evaluate
from ua3dtalk.cli.main import main
from ua3dtalk.cli.prepare import Prepare
from ua3dtalk.cli.synthesize import Synthesize
from ua3dtalk.cli.train import Train

assert UseAppendAction  # the commands' annotations name it

FUNCTIONS = [
    (ua3dtalk.prepare, Prepare),
    (ua3dtalk.train, Train),
    (ua3dtalk.synthesize, Synthesize),
    (ua3dtalk.evaluate, Evaluate),
]


@pytest.mark.parametrize(("function", "command"), FUNCTIONS)
def test_options_are_those_of_the_command(function: Any, command: type[Command]) -> None:
    """Whoever adds an option to a command adds it here too, by the same name and with the same default."""
    ours = {p.name: p.default for p in inspect.signature(function).parameters.values()}
    shared = {field.name for field in dataclasses.fields(Command)}
    theirs = {f.name: f.default for f in dataclasses.fields(command) if f.name not in shared}
    theirs = {n: inspect.Parameter.empty if d is dataclasses.MISSING else d for n, d in theirs.items()}
    assert ours == theirs | {"quiet": True}


@pytest.mark.parametrize(("function", "command"), FUNCTIONS)
def test_every_parameter_is_documented(function: Any, command: type[Command]) -> None:
    doc = inspect.getdoc(function) or ""
    assert doc.startswith((inspect.getdoc(command) or "").split("\n")[0])
    for name in inspect.signature(function).parameters:
        assert f"\n    {name}: " in doc, name


def test_names_are_complete_and_late() -> None:
    assert set(ua3dtalk.__all__) == set(api.__all__) <= set(dir(ua3dtalk))
    for name in ua3dtalk.__all__:
        assert getattr(ua3dtalk, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="no attribute 'tain'"):
        ua3dtalk.tain  # type: ignore[attr-defined]  # noqa: B018


def test_naming_a_function_loads_nothing_heavy() -> None:
    code = "import ua3dtalk, sys, json; ua3dtalk.train; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "numba", "scipy", "cv2", "mediapipe", "av"} & set(json.loads(done.stdout))


def test_the_import_is_quick() -> None:
    """0.3 s is the limit; the import costs about 5 ms, and a busy machine gets its best of three."""

    def cost() -> float:
        code = "import time; t = time.perf_counter(); import ua3dtalk; print(time.perf_counter() - t)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    assert min(cost() for _ in range(3)) < 0.3


def test_errors_are_the_commands_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ua3dtalk.UserError) as raised:
        ua3dtalk.train(tmp_path / "gone", tmp_path / "avatar")
    assert main(["train", str(tmp_path / "gone"), "--out", str(tmp_path / "avatar")]) == 2
    assert capsys.readouterr().err == f"ua3dtalk: {raised.value}\n"
    with pytest.raises(ua3dtalk.UserError, match="--intensity 2.0 is out of range"):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "avatar.json").write_text("{}")
        (tmp_path / "s.wav").write_text("x")
        ua3dtalk.synthesize(tmp_path / "a", tmp_path / "s.wav", tmp_path / "o.mp4", intensity=2.0)


def test_it_returns_what_json_prints_and_is_silent(
    small_avatar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, subject = small_avatar / "actor" / "actor.mp4", small_avatar / "subject"
    labels = small_avatar / "actor" / "emotion.csv"
    arguments = ["prepare", str(video), "--out", str(subject), "--labels", str(labels), "--json"]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    started = time.monotonic()
    assert json.loads(json.dumps(ua3dtalk.prepare(str(video), subject, labels=labels))) == printed
    assert time.monotonic() - started < 60
    assert capsys.readouterr() == ("", "")
    ua3dtalk.prepare(video, subject, labels=labels, quiet=False)
    assert "done" in capsys.readouterr().err
