"""Heat: percentiles, colours, legend."""

from __future__ import annotations

import numpy as np

from ua3dtalk.synthesis.heat import LEGEND_PX, HeatScale, heat_picture


def test_percentiles_keep_the_order_and_ignore_the_scale() -> None:
    rng = np.random.default_rng(0)
    sample = rng.gamma(2.0, size=(64, 64)).astype(np.float32)
    values = rng.gamma(2.0, size=(64, 64)).astype(np.float32)
    ranks = HeatScale([sample]).percentiles(values)
    assert np.allclose(ranks, HeatScale([1000 * sample]).percentiles(1000 * values), atol=0.1)
    order = np.argsort(values.ravel())
    assert (np.diff(ranks.ravel()[order]) >= 0).all()
    assert abs(float(np.median(ranks)) - 50) < 4 and ranks.max() == 100


def test_only_the_head_is_coloured() -> None:
    image = np.full((64, 80, 3), 120, np.uint8)
    deviation = np.zeros((64, 80), np.float32)
    deviation[20:40, 20:60] = np.linspace(0.1, 1, 40, dtype=np.float32)
    picture = heat_picture(image, deviation, HeatScale([deviation]))
    assert picture.shape == (64 + LEGEND_PX, 80, 3)
    assert (picture[:20] == 120).all() and (picture[:64, 60:] == 120).all()
    brightness = picture[30, 20:60].astype(int).sum(-1)
    assert brightness[-1] > brightness[0] + 100  # uncertain is bright


def test_no_uncertainty_at_all() -> None:
    image = np.full((16, 40, 3), 9, np.uint8)
    nothing = np.zeros((16, 40), np.float32)
    assert (heat_picture(image, nothing, HeatScale([]))[:16] == 9).all()
