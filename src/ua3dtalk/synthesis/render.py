"""Renders a drive, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator

from ua3dtalk.synthesis.drive import Drive
from ua3dtalk.synthesis.target import Target, TargetFrame


def render_frames(
    avatar: Target, drive: Drive, want_maps: bool = False, frames: range | None = None
) -> Iterator[TargetFrame]:
    """Frames in order, none of them kept.

    Args:
        avatar: Who speaks.
        drive: What drives every frame.
        want_maps: Also splat the uncertainty.
        frames: Which frames; None for all.
    """
    for i in range(len(drive)) if frames is None else frames:
        yield avatar.render(drive.conditions.frame(i), drive.viewmats[i], int(drive.torso[i]), want_maps=want_maps)
