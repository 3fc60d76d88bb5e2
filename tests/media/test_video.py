"""Video reading at 25 fps and writing, round trip."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.video import VideoReader, VideoWriter


def write_clock(path: Path, fps: Fraction, count: int, size: tuple[int, int] = (64, 48)) -> None:
    """A video whose brightness says the time: level = 20 + 20 · seconds, top left quarter dark."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "5", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(count):
            picture = np.full((size[1], size[0], 3), round(20 + 20 * float(i / fps)), np.uint8)
            picture[: size[1] // 2, : size[0] // 2] = 0
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30), Fraction(2213, 100), Fraction(60), Fraction(15)])
def test_any_frame_rate_becomes_25_by_time_stamp(tmp_path: Path, fps: Fraction) -> None:
    path = tmp_path / "clock.mp4"
    write_clock(path, fps, round(4 * fps))
    reader = VideoReader(path)
    assert reader.facts.fps == pytest.approx(float(fps), rel=1e-3)
    levels = np.array([float(frame[30:, 40:].mean()) for frame in reader])
    assert abs(len(levels) - 100) <= 1
    times_s = (levels - 20) / 20
    # Half a source frame by choice of the nearest, 1 level (0.05 s) by the codec's rounding.
    assert np.abs(times_s - np.arange(len(levels)) / 25).max() < 0.5 / float(fps) + 0.07


def test_start_and_length(tmp_path: Path) -> None:
    path = tmp_path / "clock.mp4"
    write_clock(path, Fraction(30), 180)
    reader = VideoReader(path, start_s=2.0, max_seconds=1.0)
    frames = list(reader)
    assert len(frames) == 25 == reader.expected_frames
    assert frames[0][30:, 40:].mean() == pytest.approx(60, abs=2)
    with pytest.raises(UserError, match="no picture after 60 s"):
        list(VideoReader(path, start_s=60.0))


def rotate_quarter(path: Path) -> None:
    """Put a clockwise quarter turn into the track header's matrix, as a phone does."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    write_clock(path, Fraction(25), 80)
    rotate_quarter(path)
    reader = VideoReader(path)
    assert (reader.facts.width, reader.facts.height, reader.facts.rotation) == (48, 64, 90)
    frame = next(iter(reader))
    assert frame.shape == (64, 48, 3)
    dark = frame[..., 0] < 10
    assert dark[:32, 24:].mean() > 0.9, "the dark corner has gone from top left to top right"
    assert dark[:32, :24].mean() < 0.1


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_written_frames_and_sound_come_back_in_step(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "with space" / "out.mp4"
    audio = np.zeros(32000, np.float32)
    audio[16000:16160] = 0.9
    with VideoWriter(path, 25, size, audio, 16000, {"comment": "AI-generated"}) as writer:
        for i in range(50):
            writer.write(np.full((size[1], size[0], 3), 255 if i == 25 else 0, np.uint8))
    reader = VideoReader(path)
    frames = np.array([frame.mean() for frame in reader])
    assert len(frames) == 50
    assert (reader.facts.width, reader.facts.height) == (64, 48)
    heard, rate = read_audio(path, reader.start_s)
    assert abs(len(heard) / rate - 2.0) < 0.07
    flash_s, click_s = frames.argmax() / 25, np.abs(heard).argmax() / rate
    assert abs(flash_s - click_s) < 0.02, "measured 0.001 s"
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == "AI-generated"
        assert container.streams.audio[0].codec_context.name == "aac"


def test_colours_survive(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :21], picture[:, 21:42], picture[:, 42:] = (200, 40, 30), (40, 180, 60), (30, 60, 190)
    path = tmp_path / "colours.mp4"
    with VideoWriter(path, 25, (64, 48)) as writer:
        for _ in range(5):
            writer.write(picture)
    frame = next(iter(VideoReader(path))).astype(int)
    for x in (8, 30, 54):
        assert np.abs(frame[24, x] - picture[24, x]).max() <= 6, "measured 3: 4:2:0 and crf 16"


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(ZeroDivisionError), VideoWriter(path, 25, (64, 48)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="no frame was written"), VideoWriter(path, 25, (64, 48)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="frame must be"),
        VideoWriter(tmp_path / "out.mp4", 25, (64, 48)) as writer,
    ):
        writer.write(np.zeros((64, 64, 3), np.uint8))


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        VideoReader(tmp_path / "none.mp4")
    text = tmp_path / "-text.mp4"
    text.write_text("hello " * 100)
    with pytest.raises(UserError, match="not a video"):
        VideoReader(text)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(UserError, match="not a video"):
        VideoReader(empty)


def test_a_truncated_video_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    with VideoWriter(whole, 25, (64, 48)) as writer:
        noise = np.random.default_rng(0)
        for _ in range(100):
            writer.write(noise.integers(0, 255, (48, 64, 3), np.uint8))
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 2])  # the index lies in front: it opens, and ends early
    with pytest.raises(UserError, match="truncated|damaged"):
        list(VideoReader(cut))
    cut.write_bytes(data[:600])
    with pytest.raises(UserError, match="not a video"):
        VideoReader(cut)
