"""Which frames train and which test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ua3dtalk.core.sequence import pieces

GAP_FRAMES = 16  # one audio window on either side, so that no test sound is heard in training
JOINT_BEFORE, JOINT_AFTER = 3, 4
"""Frames beside a joint that nothing is trained on: an avatar's audio stream sees frames t−4 … t+3."""


@dataclass(frozen=True)
class Split:
    """Frames of one subject."""

    train: Sequence[int]
    """Frames that anything may be fitted on, ascending."""
    test: range
    """Held-out frames, at the end of the video, or of the longest of several."""


def make_split(num_frames: int, joints: Sequence[int] = ()) -> Split:
    """Test on the last 1/11 of the frames, train on those before it minus a gap of one audio window (DESIGN §11).

    Of several videos the longest (the last such) gives the test frames, at most half of itself: 1/11 of all frames, at
    its end. Everything else trains, but for the gap and a few frames at each joint.

    Args:
        num_frames: T.
        joints: First frame of each video but the first.

    Raises:
        ValueError: so few frames that nothing is left to train on.
    """
    count = max(1, num_frames // 11)
    if not joints:
        test_start = num_frames - count
        if test_start - GAP_FRAMES < 1:
            raise ValueError(f"num_frames must be at least {GAP_FRAMES + 2} to be split, got {num_frames}.")
        return Split(train=range(0, test_start - GAP_FRAMES), test=range(test_start, num_frames))
    videos = pieces(num_frames, joints)
    longest = max(videos, key=lambda video: (len(video), video.start))
    test = range(longest.stop - max(1, min(count, len(longest) // 2)), longest.stop)
    held = range(test.start - GAP_FRAMES, test.stop)
    kept = [i for video in videos for i in _inside(video, num_frames) if video is not longest or i not in held]
    if not kept:
        raise ValueError(f"{len(videos)} videos of {num_frames} frames leave nothing to train on.")
    return Split(train=kept, test=test)


def _inside(video: range, num_frames: int) -> range:
    """The frames of a video whose audio window reaches over no joint."""
    first = video.start + (JOINT_AFTER if video.start else 0)
    return range(first, video.stop - (JOINT_BEFORE if video.stop < num_frames else 0))
