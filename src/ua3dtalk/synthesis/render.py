"""Renders a drive, one frame at a time, ahead of whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator

from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.synthesis.drive import Drive
from ua3dtalk.synthesis.target import Target, TargetFrame


def render_frames(
    avatar: Target, drive: Drive, want_maps: bool = False, frames: range | None = None
) -> Iterator[TargetFrame]:
    """Frames in order, none of them kept.

    A thread of its own renders the next frames (never more than three) while the caller encodes this one. It is one
    thread: the motion's kernels take one caller at a time, and frames come out the same whatever the timing.

    Args:
        avatar: Who speaks; nobody else renders with it meanwhile.
        drive: What drives every frame.
        want_maps: Also splat the uncertainty.
        frames: Which frames; None for all.
    """

    def rendered(i: int) -> TargetFrame:
        return avatar.render(drive.conditions.frame(i), drive.viewmats[i], int(drive.torso[i]), want_maps=want_maps)

    return ordered_map(rendered, range(len(drive)) if frames is None else frames, workers=1)
