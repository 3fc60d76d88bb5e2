"""The constant offset of sound against picture, found by the content prior (DESIGN §6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ua3dtalk.priors.lip_targets import OPENING_COLUMN, WIDTH_COLUMN

SEARCH_FRAMES = 25.0
MAX_FRAMES = 12.0
STEP_FRAMES = 0.5
MIN_PEAK = 0.2
MIN_RATIO = 1.25
FAR_FRAMES = 4.0
MIN_OVERLAP = 38  # 1.5 s
COMPARED = (0, 1, OPENING_COLUMN, WIDTH_COLUMN)


@dataclass(frozen=True, kw_only=True)
class Offset:
    """What the search found."""

    frames: float
    """Position of the peak; + means that the sound comes late."""
    peak: float
    """Mean correlation at the peak."""
    rival: float
    """Best mean correlation more than 4 frames away."""
    accepted: bool
    """Whether the peak is high and lonely enough to be trusted."""

    @property
    def applied_frames(self) -> float:
        """The correction to use: the peak if accepted, else 0."""
        return self.frames if self.accepted else 0.0


def find_offset(
    predicted: Float[np.ndarray, "n 14"], observed: Float[np.ndarray, "t 14"], fps_ratio: int = 2
) -> Offset:
    """Slide predicted lips over tracked ones.

    Args:
        predicted: Content prior at half-frame steps (50 Hz) over the whole sound, from time 0.
        observed: Lip targets of the video's frames (25 Hz), about their mean.
        fps_ratio: Predictions per video frame.

    Returns:
        The best offset on a half-frame grid within 12 frames. It is accepted when its correlation exceeds .2 and 1.25
        times the best one more than 4 frames away (searched to 25 frames).
    """
    lags = np.arange(-SEARCH_FRAMES, SEARCH_FRAMES + STEP_FRAMES / 2, STEP_FRAMES)
    scores = np.array([_score(predicted, observed, round(lag * fps_ratio), fps_ratio) for lag in lags])
    near = np.abs(lags) <= MAX_FRAMES
    best = int(np.flatnonzero(near)[scores[near].argmax()])
    far = np.abs(lags - lags[best]) > FAR_FRAMES
    peak, rival = float(scores[best]), float(scores[far].max())
    accepted = peak > MIN_PEAK and peak > MIN_RATIO * rival
    return Offset(frames=float(lags[best]), peak=peak, rival=max(rival, 0.0), accepted=accepted)


def _score(predicted: np.ndarray, observed: np.ndarray, lag: int, ratio: int) -> float:
    """Mean correlation over the compared columns; -1 where too little overlaps."""
    index = np.arange(len(observed)) * ratio + lag
    inside = (index >= 0) & (index < len(predicted))
    if inside.sum() < MIN_OVERLAP:
        return -1.0
    return float(np.mean([correlation(predicted[index[inside], c], observed[inside, c]) for c in COMPARED]))


def correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Pearson's r; 0 where either is constant."""
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 1e-12 else 0.0
