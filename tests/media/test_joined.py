"""Several videos read as one: sizes, rates and order; what does not fit together is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.joined import JoinedVideos
from ua3dtalk.media.video import VideoWriter


def write_grey(
    path: Path, level: int, size: tuple[int, int] = (64, 48), count: int = 50, fps: int = 25, sound: bool = False
) -> Path:
    audio = np.full(count * 16000 // fps, 0.1, np.float32) if sound else None
    with VideoWriter(path, fps, size, audio) as writer:
        for _ in range(count):
            writer.write(np.full((size[1], size[0], 3), level, np.uint8))
    return path


def test_videos_follow_each_other_at_one_size_and_rate(tmp_path: Path) -> None:
    dark = write_grey(tmp_path / "dark.mp4", 40, size=(128, 96), count=60, fps=30)
    light = write_grey(tmp_path / "light.mp4", 200)
    joined = JoinedVideos((dark, light))
    assert (joined.facts.width, joined.facts.height) == (64, 48), "the smallest"
    assert joined.expected_frames == 100 and [part.expected_frames for part in joined.parts] == [50, 50]
    frames = list(joined)
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    np.testing.assert_allclose([frame.mean() for frame in frames], [40] * 50 + [200] * 50, atol=2)
    assert [part.path for part in joined.parts] == [dark, light]


def test_start_and_length_are_of_each(tmp_path: Path) -> None:
    videos = [write_grey(tmp_path / f"{level}.mp4", level) for level in (40, 80)]
    joined = JoinedVideos(videos, start_s=0.4, max_seconds=1.2)
    assert joined.expected_frames == 60
    np.testing.assert_allclose([frame.mean() for frame in joined], [40] * 30 + [80] * 30, atol=2)


def test_what_does_not_fit_together_is_named(tmp_path: Path) -> None:
    first = write_grey(tmp_path / "first.mp4", 40)
    wide = write_grey(tmp_path / "wide.mp4", 40, size=(96, 48))
    spoken = write_grey(tmp_path / "spoken.mp4", 40, sound=True)
    short = write_grey(tmp_path / "short.mp4", 40, count=20)
    for videos, match in (
        ((first, wide), r"wide\.mp4 is 96x48 and .*first\.mp4 is 64x48: another shape"),
        ((first, spoken), r"first\.mp4 has no sound, but .*spoken\.mp4 has"),
        ((spoken, first), r"first\.mp4 has no sound, but .*spoken\.mp4 has"),
        ((first, short), r"short\.mp4 is too short to be joined: 0\.8 s, at least 1 s"),
        ((first, tmp_path / "." / "first.mp4"), r"first\.mp4 is given twice"),
        ((first, tmp_path / "none.mp4"), r"none\.mp4 does not exist"),
    ):
        with pytest.raises(UserError, match=match):
            JoinedVideos(videos)
