"""Style features that were predicted out of fold look like those of the final network."""

from __future__ import annotations

import numpy as np

from ua3dtalk.priors.person import Fold
from ua3dtalk.priors.style import out_of_fold_style

FOLD = Fold(range(400), range(416, 600))


def two_trainings(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Features of two networks that know the same and name it differently."""
    rng = np.random.default_rng(0)
    known = rng.normal(size=(600, 64)) * np.geomspace(2.0, 0.1, 64)
    turn = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    other = (known + noise * rng.normal(size=known.shape)) @ turn + 3.0
    return known.astype(np.float32), other.astype(np.float32)


def test_a_turned_network_is_turned_back() -> None:
    final, of_fold = two_trainings(0.0)
    np.testing.assert_allclose(out_of_fold_style(final, of_fold, FOLD), final[416:600], atol=2e-3)


def test_features_are_as_large_as_those_of_the_final_network() -> None:
    final, of_fold = two_trainings(0.7)
    turned = out_of_fold_style(final, of_fold, FOLD)
    ratio = turned.std(axis=0) / final[416:600].std(axis=0)
    assert ratio.min() > 0.8 and ratio.max() < 1.25  # measured .87 to 1.12; a ridge shrinks the small ones to .1
    agree = [np.corrcoef(a, b)[0, 1] for a, b in zip(turned.T, final[416:600].T, strict=True)]
    assert np.mean(agree[:20]) > 0.7
