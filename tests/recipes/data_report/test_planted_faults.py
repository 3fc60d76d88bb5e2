"""Planted faults through the whole of ``prepare``: what is refused, what stays behind, and what training says."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_subject import MadeActor

from ua3dtalk.cli.main import main
from ua3dtalk.core.errors import UserError
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.recipes.prepare import prepare_subject
from ua3dtalk.subject.store import Subject


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Some seconds of the actor."""
    return MadeActor(seconds=3.2).frames


def write_video(path: Path, frames: list[np.ndarray]) -> Path:
    with VideoWriter(path, 25, (frames[0].shape[1], frames[0].shape[0])) as writer:
        for frame in frames:
            writer.write(np.ascontiguousarray(frame))
    return path


def test_three_black_seconds(frames: list[np.ndarray], tmp_path: Path) -> None:
    black = [np.zeros_like(frames[0])] * 75
    video = write_video(tmp_path / "black.mp4", [*frames[:40], *black, *frames[40:]])
    with pytest.raises(UserError, match=r"the face is lost for long at 1\.6–4\.6 s"):
        prepare_subject(video, tmp_path / "subject")
    assert not (tmp_path / "subject").exists()


def test_cut_to_another_scene(frames: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = [cv2.resize(frame[24:, 120:16:-1], (128, 128)) for frame in frames[40:]]
    elsewhere = [np.where(frame > 128, frame, frame // 2 + 20) for frame in elsewhere]
    video = write_video(tmp_path / "cut.mp4", [*frames[:40], *elsewhere])
    subject = tmp_path / "subject"
    for _ in range(2):  # the second time from what is remembered
        assert main(["prepare", str(video), "--out", str(subject), "--i-have-consent"]) == 2
        said = capsys.readouterr().err
        assert "cuts to another scene or view at 1.6 s" in said and "report.html" in said
    assert (subject / "report.html").is_file() and Subject.open(subject).stage_done("report")
    assert json.loads((subject / "report.json").read_text())["verdict"] == "No avatar can be made of this video."
    assert main(["train", str(subject), "--out", str(tmp_path / "avatar")]) == 2
    assert "cannot be trained on. The picture cuts to another scene" in capsys.readouterr().err
    assert not (tmp_path / "avatar").exists()


def test_second_face_entering(frames: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = []
    for i, frame in enumerate(frames):
        picture = np.full((192, 192, 3), frame[2, 2], np.uint8)
        picture[64:, :128] = frame
        if i >= 40:
            picture[:88, 104:] = cv2.resize(frame[16:120, 12:116][:, ::-1], (88, 88))
        pictures.append(picture)
    video = write_video(tmp_path / "two.mp4", pictures)
    assert main(["prepare", str(video), "--out", str(tmp_path / "subject"), "--i-have-consent"]) == 0
    said = capsys.readouterr().out
    assert "no avatar can be trained" in said and "report.html" in said and "Next:" not in said
    subject = Subject.open(tmp_path / "subject")
    middles = subject.track().landmarks[:, :468, :2].mean(1) * (192 / subject.width)
    assert np.abs(middles - [64, 128]).max() < 30, "the tracker stays with the main face"
    facts = json.loads((subject.folder / "report.json").read_text())
    seen = facts["facts"]["tracking"]["other_faces"]
    assert seen and min(seen) >= 1.6
    assert any("Another face is in the picture" in finding["what"] for finding in facts["findings"])
