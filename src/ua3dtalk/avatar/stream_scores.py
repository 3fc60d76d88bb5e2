"""Statistics of streams as normal scores, and the largest of each stream; ``familiarity.py`` judges by them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import norm

from ua3dtalk.avatar.conditions import STREAMS
from ua3dtalk.avatar.stream_statistics import ODD, VOICE, WITNESSES, Statistic

SHARES = np.linspace(0.005, 0.995, 100)
"""Quantiles that a distribution is kept as."""
NORMAL = norm.ppf(SHARES)
"""Normal scores of these."""


def normal_scores(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Normal scores of values by quantiles at SHARES, straight on beyond their ends."""
    middle = len(knots) // 2
    above, below = (max(abs(knots[end] - knots[middle]) / NORMAL[-1], 1e-3) for end in (-1, 0))
    beyond = np.maximum(values - knots[-1], 0) / above - np.maximum(knots[0] - values, 0) / below
    return np.interp(values, knots, NORMAL) + beyond


def strongest(
    statistics: Mapping[Statistic, np.ndarray], knots: Mapping[Statistic, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per frame and stream: the largest score, its statistic, and whether it was small. [T, S] each."""
    frames = len(next(iter(statistics.values())))
    names = list(knots)
    scores, kinds = np.zeros((frames, len(STREAMS))), np.zeros((frames, len(STREAMS)), np.int64)
    low = np.zeros((frames, len(STREAMS)), bool)
    for s, stream in enumerate(STREAMS):
        normal = {
            key: normal_scores(knots[key], column)
            for key, column in statistics.items()
            if key[0] == stream and key != VOICE
        }
        witnessed = [key for key in normal if by_others(*key)]
        for key, column in normal.items():
            if key not in witnessed:
                _note(scores[:, s], kinds[:, s], low[:, s], np.abs(column), names.index(key), column < 0)
        if witnessed:
            least = np.min([normal[key] for key in witnessed], axis=0)
            _note(scores[:, s], kinds[:, s], low[:, s], least, names.index(witnessed[0]), np.zeros(frames, bool))
    return scores, kinds, low


def by_others(stream: str, kind: str) -> bool:
    """Whether a statistic compares a stream with its witnesses: then only too much of it is strange."""
    return kind == ODD or kind in WITNESSES.get(stream, ())


def _note(
    scores: np.ndarray, kinds: np.ndarray, low: np.ndarray, new: np.ndarray, kind: int, small: np.ndarray
) -> None:
    """Where a statistic is stranger than those before it, note it (in place)."""
    more = new > scores
    scores[more], kinds[more], low[more] = new[more], kind, small[more]
