"""Silence closes the mouth: where nobody speaks, the lower face goes to the person's resting value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import binary_opening, uniform_filter1d

from ua3dtalk.core.sequence import pieces
from ua3dtalk.subject.track_data import NUM_LOWER

QUIET = 0.3
MIN_FRAMES = 6  # longer than 0.2 s at 25 fps
RAMP_FRAMES = 5
ENOUGH_FRAMES = 12


def quiet_weight(voiced: Float32[np.ndarray, " t"], joints: Sequence[int] = ()) -> Float32[np.ndarray, " t"]:
    """1 where nobody has spoken for more than 0.2 s around, 0 in speech, with ramps of 0.2 s inside the pause.

    Args:
        voiced: Voice activity, 0..1.
        joints: First frame of each recording but the first: no ramp reaches over them.
    """
    if joints:
        return np.concatenate([quiet_weight(voiced[where]) for where in pieces(len(voiced), joints)])
    quiet = binary_opening(np.pad(voiced < QUIET, MIN_FRAMES, constant_values=False), np.ones(MIN_FRAMES))
    quiet = quiet[MIN_FRAMES:-MIN_FRAMES]
    # A ramp that begins when speech ends: the mask is shrunk by half a ramp, then smoothed by a whole one.
    half = RAMP_FRAMES // 2
    padded = np.pad(quiet, half, mode="edge")
    shrunk = np.min([padded[i : i + len(quiet)] for i in range(2 * half + 1)], axis=0)
    return uniform_filter1d(shrunk.astype(np.float32), RAMP_FRAMES, mode="nearest")


def rest_pose(
    lower: Float32[np.ndarray, "t 13"],
    voiced: Float32[np.ndarray, " t"],
    frames: Sequence[int],
    joints: Sequence[int] = (),
) -> Float32[np.ndarray, " 13"]:
    """The lower face at rest: mean over silent frames, or over the tenth with the smallest opening.

    Silent frames count only when at least 12 of them exist and their mouth is more closed than the median, as many
    people breathe or smile in pauses.
    """
    chosen = np.asarray(frames)
    opening = lower[chosen, NUM_LOWER - 1]
    silent = quiet_weight(voiced, joints)[chosen] > 0.9
    if silent.sum() >= ENOUGH_FRAMES and opening[silent].mean() < np.median(opening):
        return lower[chosen[silent]].mean(axis=0).astype(np.float32)
    closed = opening <= np.quantile(opening, 0.1)
    return lower[chosen[closed]].mean(axis=0).astype(np.float32)


def close_in_silence(
    lower: Float32[np.ndarray, "t 13"],
    voiced: Float32[np.ndarray, " t"],
    rest: Float32[np.ndarray, " 13"],
    joints: Sequence[int] = (),
) -> Float32[np.ndarray, "t 13"]:
    """Blend predictions toward the resting value where nobody speaks."""
    weight = quiet_weight(voiced, joints)[:, None]
    return (lower * (1 - weight) + rest * weight).astype(np.float32)
