"""Several videos of one camera, read one after the other as if they were one: same size, same rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.probe import FPS, VideoFacts
from ua3dtalk.media.video import VideoReader

SHAPE_TOLERANCE = 0.01
"""Relative difference of aspect ratios that odd sizes and scaling leave."""
LEAST_S = 1.0
"""Shortest video that is worth a joint, seconds."""


class JoinedVideos(VideoReader):
    """The frames of several videos in order, each brought to the size of the smallest.

    Args:
        paths: The videos, at least one.
        start_s: Skip this much of each, seconds.
        max_seconds: Read at most this much of each, seconds; None reads to the end.

    Raises:
        UserError: one cannot be read, is given twice, is shorter than a second, has another shape than the first, or
            only some have sound; the message names it.
    """

    def __init__(self, paths: Sequence[Path], start_s: float = 0.0, max_seconds: float | None = None) -> None:
        facts = [VideoReader(path, start_s, max_seconds).facts for path in paths]
        _check_alike(paths, facts)
        smallest = min(facts, key=lambda one: one.width * one.height)
        size = (smallest.width, smallest.height)
        super().__init__(paths[0], start_s, max_seconds, size)
        self._parts = [VideoReader(path, start_s, max_seconds, size) for path in paths]
        for part in self._parts:
            if part.expected_frames is not None and part.expected_frames < LEAST_S * FPS:
                raise too_short(part.path, part.expected_frames)
        self.facts = VideoFacts(
            fps=facts[0].fps,
            width=size[0],
            height=size[1],
            start_s=facts[0].start_s,
            duration_s=sum(one.duration_s for one in facts),
            rotation=0,
            has_audio=facts[0].has_audio,
        )

    @property
    def parts(self) -> Sequence[VideoReader]:
        """The videos, each at the common size."""
        return self._parts

    @property
    def expected_frames(self) -> int | None:
        """How many frames to expect of all; None where one container does not say."""
        each = [part.expected_frames for part in self._parts]
        known = [count for count in each if count is not None]
        return sum(known) if len(known) == len(each) else None

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Frames of all videos, uint8 RGB."""
        for part in self._parts:
            yield from part


def too_short(path: Path, count: int) -> UserError:
    """What to say of a part with too few frames."""
    return UserError(
        f"{path} is too short to be joined: {count / FPS:.1f} s, at least {LEAST_S:g} s are needed.",
        "Leave it out, or give a longer one.",
    )


def _check_alike(paths: Sequence[Path], facts: Sequence[VideoFacts]) -> None:
    """One camera: the same shape of picture; and sound in all or in none."""
    first = facts[0]
    for k, (path, one) in enumerate(zip(paths, facts, strict=True)):
        if path.resolve() in {other.resolve() for other in paths[:k]}:
            raise UserError(f"{path} is given twice.", "Name each video once.")
        if abs(one.width * first.height / (one.height * first.width) - 1) > SHAPE_TOLERANCE:
            raise UserError(
                f"{path} is {one.width}x{one.height} and {paths[0]} is {first.width}x{first.height}: another shape.",
                "Give videos of one camera, or crop them alike.",
            )
        if one.has_audio != first.has_audio:
            silent, sounding = (path, paths[0]) if first.has_audio else (paths[0], path)
            raise UserError(
                f"{silent} has no sound, but {sounding} has.",
                f"Leave {silent.name} out, or give a version of it with sound.",
            )
