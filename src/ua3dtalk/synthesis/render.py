"""Renders a drive, one frame at a time, ahead of whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator

from ua3dtalk.avatar.avatar import Motions
from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.synthesis.drive import Drive
from ua3dtalk.synthesis.target import Target, TargetFrame


def render_frames(
    avatar: Target, drive: Drive, want_maps: bool = False, frames: range | None = None
) -> Iterator[TargetFrame]:
    """Frames in order, none of them kept.

    A production line of three: a thread runs the networks, a thread splats what they said a little before, the caller
    encodes. Each is one thread, because the networks' kernels take one caller at a time, and frames come out the same
    whatever the timing. Never more than six frames are on the way.

    Args:
        avatar: Who speaks; nobody else renders with it meanwhile.
        drive: What drives every frame.
        want_maps: Also splat the uncertainty.
        frames: Which frames; None for all.
    """

    def moved(i: int) -> tuple[int, Motions]:
        return i, avatar.move(drive.conditions.frame(i), want_maps)

    def drawn(item: tuple[int, Motions]) -> TargetFrame:
        i, motions = item
        return avatar.render(drive.conditions.frame(i), drive.viewmats[i], int(drive.torso[i]), want_maps, motions)

    return ordered_map(drawn, ordered_map(moved, range(len(drive)) if frames is None else frames, 1), 1)
