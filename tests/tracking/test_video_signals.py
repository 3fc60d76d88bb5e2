"""Face signals of raw videos, and videos that have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.media.video import VideoReader, VideoWriter
from ua3dtalk.subject.face_signals import FACE_SIGNALS
from ua3dtalk.tracking.video_signals import video_signals


def written(path: Path, frames: list[np.ndarray]) -> Path:
    height, width = frames[0].shape[:2]
    with VideoWriter(path, 25, (width, height)) as video:
        for frame in frames:
            video.write(frame)
    return path


@pytest.fixture(scope="module")
def smile(shared: Path) -> Path:
    return shared / "data" / "clips" / "mead_happy_6s_256_noaudio.mp4"


def test_a_smile_is_wider_than_fear(shared: Path, smile: Path) -> None:
    other = shared / "data" / "clips" / "mead_fear_9s_256_noaudio.mp4"
    happy, afraid = (video_signals(path, Silent(), max_seconds=1.0) for path in (smile, other))
    assert happy.shape == afraid.shape == (25, len(FACE_SIGNALS)) and np.isfinite(happy).all()
    differs = dict(zip(FACE_SIGNALS, happy.mean(0) - afraid.mean(0), strict=True))
    assert differs["corners_up"] > 0.03 and differs["AU05"] < -0.01  # corners up; lids not torn open


def test_a_face_that_is_lost_for_a_moment_is_bridged_and_for_long_refused(smile: Path, tmp_path: Path) -> None:
    frames = list(VideoReader(smile, max_seconds=1.0))
    grey = np.full_like(frames[0], 90)
    moment = written(tmp_path / "moment.mp4", [*frames[:12], *[grey] * 4, *frames[12:]])
    signals = video_signals(moment, Silent())
    assert len(signals) == 29 and np.isfinite(signals).all()
    long = written(tmp_path / "long.mp4", [*frames, *frames, *[grey] * 52, *frames, *frames])
    with pytest.raises(UserError, match="lost for 2"):
        video_signals(long, Silent())
    rare = written(tmp_path / "rare.mp4", [*frames[:12], *[grey] * 40])
    with pytest.raises(UserError, match=r"in only 2\d%"):
        video_signals(rare, Silent())


def test_what_has_no_face_is_refused(tmp_path: Path, smile: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    with pytest.raises(UserError, match="no face was found"):
        video_signals(written(tmp_path / "noise.mp4", [noise] * 26), Silent())
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(UserError):
        video_signals(tmp_path / "text.mp4", Silent())
    with pytest.raises(UserError, match="does not exist"):
        video_signals(tmp_path / "none.mp4", Silent())
    with pytest.raises(UserError, match="at least 13 are needed"):
        video_signals(smile, Silent(), max_seconds=0.2)
