"""Scores of an emotion teacher: average recall, areas under curves, calibration, and intervals over speakers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata


def average_recall(probabilities: Float[np.ndarray, "u c"], truth: Int[np.ndarray, " u"]) -> float:
    """Unweighted average recall (UAR): mean over classes of the share found; chance is 1 / classes."""
    right = probabilities.argmax(axis=1) == truth
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


def area_under_curve(score: Float[np.ndarray, " u"], positive: np.ndarray) -> float:
    """Chance that a positive one scores higher than a negative one; .5 is chance, NaN where one kind is missing."""
    positive = positive.astype(bool)
    ups, downs = int(positive.sum()), int((~positive).sum())
    if not ups or not downs:
        return float("nan")
    return float((rankdata(score)[positive].sum() - ups * (ups + 1) / 2) / (ups * downs))


def calibration_error(probabilities: Float[np.ndarray, "u c"], truth: Int[np.ndarray, " u"]) -> float:
    """Expected calibration error (ECE) over ten bins of confidence."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    which = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in np.unique(which)
    ]
    return float(np.sum(gaps))


def speaker_interval(
    score: Callable[[Int[np.ndarray, " n"]], float], owner: Int[np.ndarray, " u"], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of a score: whole speakers are drawn with replacement.

    Args:
        score: From indices of utterances to a number; NaN is left out.
        owner: Speaker of each utterance.
        draws: Bootstrap samples.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(owner == s) for s in np.unique(owner)]
    drawn = (rng.integers(len(groups), size=len(groups)) for _ in range(draws))
    found = np.array([score(np.concatenate([groups[i] for i in chosen])) for chosen in drawn])
    found = found[np.isfinite(found)]
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))
