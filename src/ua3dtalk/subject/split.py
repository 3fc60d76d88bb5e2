"""Which frames train and which test."""

from __future__ import annotations

from dataclasses import dataclass

GAP_FRAMES = 16  # one audio window on either side, so that no test sound is heard in training


@dataclass(frozen=True)
class Split:
    """Frame ranges of one subject."""

    train: range
    """Frames that anything may be fitted on."""
    test: range
    """Held-out frames, at the end of the video."""


def make_split(num_frames: int) -> Split:
    """Test on the last 1/11 of the frames, train on those before it minus a gap of one audio window (DESIGN §11).

    Raises:
        ValueError: so few frames that nothing is left to train on.
    """
    test_start = num_frames - max(1, num_frames // 11)
    if test_start - GAP_FRAMES < 1:
        raise ValueError(f"num_frames must be at least {GAP_FRAMES + 2} to be split, got {num_frames}.")
    return Split(train=range(0, test_start - GAP_FRAMES), test=range(test_start, num_frames))
