"""Percentiles of a free scale."""

from __future__ import annotations

import numpy as np

from ua3dtalk.synthesis.heat import HeatScale


def test_percentiles_keep_the_order_and_ignore_the_scale() -> None:
    rng = np.random.default_rng(0)
    sample = rng.gamma(2.0, size=(64, 64)).astype(np.float32)
    values = rng.gamma(2.0, size=(64, 64)).astype(np.float32)
    ranks = HeatScale([sample]).percentiles(values)
    assert np.allclose(ranks, HeatScale([1000 * sample]).percentiles(1000 * values), atol=0.1)
    order = np.argsort(values.ravel())
    assert (np.diff(ranks.ravel()[order]) >= 0).all()
    assert abs(float(np.median(ranks)) - 50) < 4 and ranks.max() == 100
