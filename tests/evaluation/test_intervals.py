"""Intervals cover the truth as often as they claim, also where neighbouring frames are alike."""

from __future__ import annotations

import numpy as np

from ua3dtalk.evaluation.intervals import mean_interval


def test_coverage_with_correlated_frames() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        noise = rng.normal(size=520)
        values = np.convolve(noise, np.ones(20) / 20, "valid")[:500] + 30
        low, high = mean_interval(values, rng)
        hits += low <= 30 <= high
    assert hits >= 85  # 91 of 100; single frames instead of blocks would cover about 35


def test_short_clips_have_none_and_missing_frames_do_not_count() -> None:
    rng = np.random.default_rng(0)
    assert mean_interval(np.ones(49), rng) is None
    assert mean_interval(np.r_[np.ones(49), np.full(50, np.nan)], rng) is None
    assert mean_interval(np.r_[np.ones(60), np.full(5, np.nan)], rng) == (1.0, 1.0)
