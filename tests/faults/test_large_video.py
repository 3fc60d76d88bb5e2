"""A very large video goes through memory one frame at a time."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from ua3dtalk.media.video import VideoReader
from ua3dtalk.tracking.crop import Speaker, choose_box

WIDTH, HEIGHT, FRAMES = 2560, 1440, 30


def resident_bytes() -> int:
    """Memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_very_large_video_is_read_frame_by_frame_and_cut_to_the_head(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "large.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(FRAMES):
            grey = np.full((HEIGHT * 3 // 2, WIDTH), 4 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "yuv420p")))
        container.mux(stream.encode(None))
    face = np.array([[1100, 500, 1400, 900.0]])
    box = choose_box(Speaker(face, 1, 1), WIDTH, HEIGHT, 512)
    begin, most, count = resident_bytes(), 0, 0
    for frame in VideoReader(tmp_path / "large.mkv"):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert box.apply(frame).shape == (512, 512, 3)
        most, count = max(most, resident_bytes() - begin), count + 1
    assert count == FRAMES
    assert most < 0.6 * FRAMES * WIDTH * HEIGHT * 3, "frames are kept"
