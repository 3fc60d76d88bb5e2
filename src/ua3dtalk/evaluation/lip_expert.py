"""Are the lips in time with the sound? Asked of our own lip expert, the content prior, which knows no speaker.

It predicts an average speaker's lips from the sound alone; the observed lips are slid over them. This is not SyncNet,
and its numbers are not Sync-C and Sync-D, though they are made in their spirit. T frames at 25 fps, N half-frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from ua3dtalk.priors.lip_targets import NUM_TARGETS

SEARCH_FRAMES = 15.0
"""Lags tried in each direction, frames."""
STEP_FRAMES = 0.5
STEPS_PER_FRAME = 2
"""Predictions per video frame: 50 Hz."""
MIN_OVERLAP = 38
"""Frames (1.5 s) with a face that must overlap at a lag; below, the lag is not tried."""
WINDOW_FRAMES = 75
"""Length of a window of ``benchmarks/sync.py``, 3 s."""
SMOOTH_S = 0.6
"""Length of the Hann window whose average is taken out for the fast part of the movement."""
COLUMN_WEIGHTS = {0: 0.52, 1: 0.53, 3: 0.27, 12: 0.52, 13: 0.51}
"""Weight of each compared target: its correlation on clips of people that the content prior was not trained on
(``benchmarks/sync.py``); those below .2 are left out. 12 is the mouth's opening, 13 its width."""


@dataclass(frozen=True, kw_only=True)
class LipSync:
    """What the lip expert says about one clip or window."""

    offset_frames: float
    """Lag of the best score, on a grid of half frames; positive: the lips come late (``priors.offset`` has the
    opposite sign: there positive means late sound)."""
    score: float
    """Score at that lag, −1..1, see ``lag_scores``."""
    confidence: float
    """Score at that lag minus the median over all lags, 0..2."""
    distance: float
    """Root of 2 − 2 · ``score``: distance of the two curves after each is brought to unit length, 0..2; 0 where the
    observed lips are the predicted ones, 1.41 where they have nothing to do with each other."""
    scores: Float64[np.ndarray, " k"]
    """Scores at ``lags()``; NaN where too little overlaps."""


def lags() -> Float64[np.ndarray, " k"]:
    """The lags that are tried, frames: −15 to 15 in halves."""
    return np.arange(-SEARCH_FRAMES, SEARCH_FRAMES + STEP_FRAMES / 2, STEP_FRAMES)


def lip_sync(
    predicted: Float[np.ndarray, "n 14"],
    observed: Float[np.ndarray, "t 14"],
    start: int = 0,
    weights: dict[int, float] | None = None,
) -> LipSync | None:
    """Offset, confidence and distance of a clip or of a window of it.

    Args:
        predicted: ``ContentPrior.predict`` at 50 Hz over the sound that there is, from time 0.
        observed: Lips of the window's frames: 12 components, opening, width (``expression_features``), any unit; NaN in
            frames without a face.
        start: Frame of the sound's clock at which the window starts.
        weights: Weight of each compared column; ``COLUMN_WEIGHTS`` when None.

    Returns:
        None where no lag has 1.5 s of overlap, or where nothing moves.
    """
    scores = lag_scores(predicted, observed, start, weights)
    if not np.isfinite(scores).any():
        return None
    best = int(np.nanargmax(scores))
    peak = float(scores[best])
    return LipSync(
        offset_frames=float(lags()[best]),
        score=peak,
        confidence=peak - float(np.nanmedian(scores)),
        distance=float(np.sqrt(max(2 - 2 * peak, 0.0))),
        scores=scores,
    )


def lag_scores(
    predicted: Float[np.ndarray, "n 14"],
    observed: Float[np.ndarray, "t 14"],
    start: int = 0,
    weights: dict[int, float] | None = None,
) -> Float64[np.ndarray, " k"]:
    """Agreement of observed and predicted lips at every lag.

    At each lag, Pearson's r of every compared column over the overlap, averaged with the columns' weights; that of the
    curves as they are and that of their fast part (minus their average over 0.6 s) count half each. The slow part tells
    speech from pauses, the fast part tells when; measured in ``benchmarks/sync.py``.

    Args: as for ``lip_sync``.

    Returns:
        −1..1 at each of ``lags()``; NaN where less than 1.5 s overlap or nothing moves.

    Raises:
        ValueError: a column that does not exist, or weights that do not add up to more than 0.
    """
    weights = COLUMN_WEIGHTS if weights is None else weights
    columns, shares = list(weights), np.array(list(weights.values()), np.float64)
    if not columns or min(columns) < 0 or max(columns) >= NUM_TARGETS or not shares.sum() > 0:
        raise ValueError(f"`weights` must give columns 0 to {NUM_TARGETS - 1} weights with a sum > 0, got {weights}.")
    shares = shares / shares.sum()
    known = np.asarray(np.isfinite(observed).all(axis=1))
    if known.sum() < MIN_OVERLAP or not len(predicted):
        return np.full(len(lags()), np.nan)
    seen = _filled(observed[:, columns], known)
    heard = predicted[:, columns].astype(np.float64)
    pairs = [
        (heard, seen),
        (_fast(heard, 25 * STEPS_PER_FRAME), _fast(seen, 25)),
    ]
    frames = start + np.arange(len(observed))
    scores = np.full(len(lags()), np.nan)
    for k, lag in enumerate(lags()):
        index = np.round((frames - lag) * STEPS_PER_FRAME).astype(np.int64)
        inside = known & (index >= 0) & (index < len(heard))
        if inside.sum() >= MIN_OVERLAP:
            parts = [_mean_correlation(p[index[inside]], o[inside], shares) for p, o in pairs]
            scores[k] = np.mean(parts)
    return scores


def _mean_correlation(a: np.ndarray, b: np.ndarray, shares: np.ndarray) -> float:
    """Pearson's r of each column, weighted; a column that does not move on both sides counts 0; NaN if none does."""
    a, b = a - a.mean(0), b - b.mean(0)
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    moves = norm > 1e-12
    if not moves.any():
        return float("nan")
    return float(shares @ np.where(moves, (a * b).sum(0) / np.where(moves, norm, 1.0), 0.0))


def _fast(curves: np.ndarray, rate_hz: int) -> np.ndarray:
    """Curves minus their average under a Hann window of 0.6 s; edges repeated."""
    taps = int(SMOOTH_S * rate_hz) | 1
    kernel = np.hanning(taps + 2)[1:-1]
    kernel = kernel / kernel.sum()
    padded = np.pad(curves, ((taps // 2, taps // 2), (0, 0)), mode="edge")
    return curves - np.stack([np.convolve(column, kernel, "valid") for column in padded.T], axis=1)


def _filled(curves: np.ndarray, known: Bool[np.ndarray, " t"]) -> np.ndarray:
    """Unknown frames by linear interpolation, so that they can be smoothed; they are never compared."""
    at = np.flatnonzero(known)
    return np.stack([np.interp(np.arange(len(curves)), at, column[at].astype(np.float64)) for column in curves.T], 1)
