"""What happens from frame to frame: pictures that stand still, cuts, jumps, black. T frames.

Everything is computed from ``Watched``, which one pass over the frames at an eighth of their size makes: differences
there are free of noise and coding, and decoding costs a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from ua3dtalk.core.sequence import Stretch, stretches

FROZEN_LEVELS = 2.5
"""A frame repeats the one before if nothing in the face changes by more than this (grey levels, averaged over 8×8
pixels). 28 real clips: the median frame changes by 6 to 88; repeats from a lower frame rate stay below 2.3."""
FREEZE_PAIRS = 5
"""So many repeats in a row (.2 s) are a freeze. Longest in a clip without one: 4."""
CUT_LEVELS = 12.0
"""The picture before and after a cut differ by more than this on average, grey levels."""
CUT_SUDDEN = 2.5
"""A cut changes the picture by so many times the change of the frames around it."""
SAME_SCENE_R = 0.8
"""Pictures before and after a cut that correlate better than this show the same scene."""
SAME_VIEW_R = 0.5
"""The same at the joint of two videos. One actor before one wall, the head elsewhere: .68 to .73."""
JUMP_EYES = 0.12
"""A head that moves by this in one frame, in eye distances, and stands before and after, has jumped."""
JUMP_SUDDEN = 4.0
"""How much faster than in the four frames around it."""
DARK_LEVEL = 16.0
"""Mean brightness of a picture that shows nothing, of 255; it is that of black in a video's limited range."""
AROUND = 6
"""Frames before and after that a cut is judged by."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What one pass over the frames notes down."""

    face_change: Float32[np.ndarray, " p"]
    """Largest difference in the face to the frame before, grey levels; P = T − 1 pairs."""
    brightness: Float32[np.ndarray, " t"]
    """Mean brightness of the picture, 0..255."""
    face_brightness: Float32[np.ndarray, " t"]
    """Mean brightness of the face's box, 0..255."""
    thumbs: UInt8[np.ndarray, "t 16 16 3"]
    """Each picture, very small, RGB."""
    shift: Float32[np.ndarray, " p"]
    """How far the face moved since the frame before, in eye distances."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A place where the picture changes at once."""

    frame: int
    """The first frame after it."""
    same_scene: bool
    """Whether the scene is the same before and after: a jump cut, or the head jumps."""


def repeats(watched: Watched) -> Bool[np.ndarray, " p"]:
    """For each frame but the first, whether it repeats the one before."""
    return watched.face_change <= FROZEN_LEVELS


def freezes(watched: Watched) -> list[Stretch]:
    """Stretches in which the picture stands still although time goes on: the repeated frames, but for black ones."""
    shown = watched.brightness[1:] >= DARK_LEVEL
    return [(a + 1, b + 1) for a, b in stretches(repeats(watched) & shown, FREEZE_PAIRS)]


def dark_stretches(watched: Watched) -> list[Stretch]:
    """Stretches of black pictures."""
    return stretches(watched.brightness < DARK_LEVEL)


def find_cuts(watched: Watched, joints: Sequence[int] = ()) -> list[Cut]:
    """Cuts to another scene, and jumps within one; black pictures are passed over.

    A cut is sudden (against the frames around it) and stays: a flash comes back, a quick gesture is not sudden.

    Args:
        watched: The pass over all frames.
        joints: First frame of each of several videos but the first: there the head may be elsewhere in the scene.
    """
    shown = np.flatnonzero(watched.brightness >= DARK_LEVEL)
    if len(shown) < 3:
        return []
    thumbs = watched.thumbs[shown].astype(np.float32)
    change = np.abs(np.diff(thumbs, axis=0)).mean((1, 2, 3))
    shift = np.where(np.diff(shown) == 1, watched.shift[shown[:-1]], 0.0)
    sudden_picture = (change > CUT_LEVELS / 2) & (change > CUT_SUDDEN * _busiest_around(change))
    sudden_head = (shift > JUMP_EYES) & (shift > JUMP_SUDDEN * _busiest_around(shift))
    found = []
    for pair in np.flatnonzero(sudden_picture | sudden_head):
        before = np.median(thumbs[max(0, pair + 1 - AROUND) : pair + 1], axis=0)
        after = np.median(thumbs[pair + 1 : pair + 1 + AROUND], axis=0)
        stays = float(np.abs(before - after).mean()) > CUT_LEVELS
        least = SAME_VIEW_R if shown[pair + 1] in joints else SAME_SCENE_R
        other_scene = stays and _correlation(before, after) < least
        if other_scene or sudden_head[pair]:
            found.append(Cut(frame=int(shown[pair + 1]), same_scene=not other_scene))
    return found


def longest_between(cuts: list[Cut], num_frames: int) -> Stretch:
    """The longest stretch without a cut to another scene."""
    borders = [0, *(cut.frame for cut in cuts if not cut.same_scene), num_frames]
    return max(pairwise(borders), key=lambda span: span[1] - span[0])


def _busiest_around(change: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """The largest of the two values before and the two after each, itself excluded."""
    padded = np.pad(change, 2, mode="reflect" if len(change) > 2 else "edge")
    shifted = [padded[k : k + len(change)] for k in (0, 1, 3, 4)]
    return np.max(shifted, axis=0)


def _correlation(a: Float32[np.ndarray, "16 16 3"], b: Float32[np.ndarray, "16 16 3"]) -> float:
    """Pearson's r of two small pictures, each colour about its mean: a change of light alone keeps it high."""
    a, b = a - a.mean((0, 1)), b - b.mean((0, 1))
    return float((a * b).sum() / max(float(np.sqrt((a**2).sum() * (b**2).sum())), 1e-6))
