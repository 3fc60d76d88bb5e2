"""What a container says about its video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error

from ua3dtalk.core.errors import UserError

FPS = 25
"""Frames per second inside the product."""


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What the container says about a video."""

    fps: float
    """Average frames per second of the source."""
    width: int
    """Width as shown (rotation applied), pixels."""
    height: int
    """Height as shown, pixels."""
    start_s: float
    """Time stamp of the first picture in the container, seconds."""
    duration_s: float
    """Length of the picture, seconds; 0 where the container does not say."""
    rotation: int
    """Clockwise quarter turns that show the picture upright: 0, 90, 180 or 270 degrees."""
    has_audio: bool
    """Whether there is a sound track."""


def probe_video(path: Path) -> VideoFacts:
    """Open a video and look at its first picture.

    Raises:
        UserError: not a video, or too damaged to be opened.
    """
    not_video = "Give a video file such as MP4, MOV or MKV; a truncated file must be copied again."
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise UserError(f"{path} holds no video.", not_video)
            stream = container.streams.video[0]
            base = float(stream.time_base or Fraction(1, FPS))
            fps = float(stream.average_rate or stream.guessed_rate or FPS)
            picture = next(container.decode(stream), None)
            if picture is None or (picture.pts is None and stream.frames == 1):
                raise UserError(f"{path} is not a video.", not_video)
            start_s = float(picture.pts * picture.time_base) if picture.pts is not None and picture.time_base else 0.0
            duration_s = float(stream.duration * base) if stream.duration else (container.duration or 0) / 1e6
            turn = int(-picture.rotation) % 360
            swap = turn in (90, 270)
            return VideoFacts(
                fps=fps,
                width=picture.height if swap else picture.width,
                height=picture.width if swap else picture.height,
                start_s=start_s,
                duration_s=duration_s,
                rotation=turn,
                has_audio=bool(container.streams.audio),
            )
    except (av.error.FFmpegError, ValueError) as error:
        reason = error.strerror if isinstance(error, av.error.FFmpegError) else str(error)
        raise UserError(f"{path} is not a video that can be read ({reason}).", not_video) from error
