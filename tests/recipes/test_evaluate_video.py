"""Two plain videos: the same, one that is late, and ones that do not fit, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ua3dtalk.cli.main import main
from ua3dtalk.media.video import VideoReader, VideoWriter

COUNT = 30


@pytest.fixture(scope="module")
def clip(shared: Path) -> list[np.ndarray]:
    """1.3 seconds of a real speaker."""
    path = shared / "data" / "clips" / "lieu_60s_256.mp4"
    return list(VideoReader(path, start_s=50.0, max_seconds=(COUNT + 2) / 25))


def write(path: Path, frames: list[np.ndarray], fps: float = 25.0, sound: bool = True) -> Path:
    tone = np.sin(np.arange(int(len(frames) / fps * 16000)) / 20).astype(np.float32) * 0.1
    size = (frames[0].shape[1], frames[0].shape[0])
    with VideoWriter(path, fps, size, tone if sound else None, crf=4) as video:
        for frame in frames:
            video.write(frame)
    return path


def run(reference: Path, video: Path, out: Path) -> dict[str, Any]:
    assert (
        main(["evaluate-video", "--reference", str(reference), "--video", str(video), "--out", str(out), "--quiet"])
        == 0
    )
    return json.loads((out / "metrics.json").read_text())


def test_a_late_small_long_silent_video_is_scored_and_said(clip: list[np.ndarray], tmp_path: Path) -> None:
    real = write(tmp_path / "real.mp4", clip[:COUNT])
    small = [cv2.resize(frame, (192, 192), interpolation=cv2.INTER_AREA) for frame in clip]
    late = write(tmp_path / "late video.mp4", [small[0], small[0], *small[:COUNT]], sound=False)
    metrics = run(real, late, tmp_path / "report")
    row = metrics["rows"]["video"]
    assert metrics["settings"]["frames"]["count"] == COUNT
    assert row["opening"]["lag_frames"] == 2, "two frames late"
    assert row["regions"]["full"]["psnr_db"]["mean"] < metrics["rows"]["real"]["regions"]["full"]["psnr_db"]["mean"] - 5
    assert row["measures"]["aue_lower"]["value"] > metrics["rows"]["real"]["measures"]["aue_lower"]["value"]
    notes = " ".join(metrics["settings"]["given"]["notes"])
    assert "192x192" in notes and "scaled to 256x256" in notes and "no sound" in notes
    assert "jaw" in metrics["settings"]["regions"]["head"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "no neck" in page and "data:video/mp4;base64," in page


def test_another_frame_rate_is_read_by_time_stamp(clip: list[np.ndarray], tmp_path: Path) -> None:
    real = write(tmp_path / "real.mp4", clip[:COUNT])
    fast = write(tmp_path / "fast.mp4", [frame for frame in clip[:COUNT] for _ in range(2)], fps=50.0)
    metrics = run(real, fast, tmp_path / "report")
    assert metrics["rows"]["video"]["opening"]["lag_frames"] == 0
    assert metrics["rows"]["video"]["regions"]["full"]["psnr_db"]["mean"] > 38
    assert any("50.00 frames/s" in note for note in metrics["settings"]["given"]["notes"])


def test_a_video_without_a_face_gets_the_remaining_metrics(clip: list[np.ndarray], tmp_path: Path) -> None:
    real = write(tmp_path / "real.mp4", clip[:COUNT])
    grey = write(tmp_path / "grey.mp4", [np.full_like(clip[0], 128)] * COUNT)
    row = run(real, grey, tmp_path / "report")["rows"]["video"]
    assert row["missed"] == COUNT and row["opening"]["correlation"] is None
    assert row["regions"]["head"]["psnr_db"]["mean"] is not None
    assert row["measures"]["e_fid"]["unavailable"] and row["measures"]["seam_flicker"]["value"] is not None


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "at least one second"), (0.0, "does not exist")])
def test_bad_input_is_one_sentence(
    clip: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: float, words: str
) -> None:
    real = write(tmp_path / "real.mp4", clip[:COUNT])
    other = tmp_path / "other.mp4"
    if seconds:
        write(other, clip[: int(seconds * 25)])
    code = main(["evaluate-video", "--reference", str(real), "--video", str(other), "--out", str(tmp_path / "r")])
    error = capsys.readouterr().err
    assert code == 2 and words in error and error.count("\n") == 1
    assert not (tmp_path / "r").exists()
