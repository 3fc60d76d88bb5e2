"""The doctor finds what is there, and says how to get what is not."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import pytest

from ua3dtalk.cli import doctor
from ua3dtalk.cli.main import main


def test_this_machine_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for name in ("python", "torch", "rasterizer", "mediapipe", "opencv", "pocketsphinx", "video and audio", "disk"):
        assert name in text
    assert text.rstrip().endswith("Everything that is needed is here.")


def test_scripts_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ready"] is True
    assert {"name", "found", "ok", "required", "cure"} == set(report["findings"][0])


def test_a_broken_part_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look_at_torch() -> list[doctor.Finding]:
        raise ImportError("libfoo.so is not there")

    monkeypatch.setattr(doctor, "LOOKS", (doctor.look_at_machine, look_at_torch))
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "MISSING  torch" in text
    assert "libfoo.so is not there" in text
    assert "make setup" in text
    assert text.rstrip().endswith("Missing: torch.")


def test_a_full_disk_is_a_warning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    disk = next(finding for finding in doctor.look_at_machine() if finding.name == "disk")
    assert not disk.ok
    assert not disk.required
