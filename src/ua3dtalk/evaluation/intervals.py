"""Confidence intervals of means over video frames."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

BLOCK_FRAMES = 25
RESAMPLES = 1000


def mean_interval(
    values: Float[np.ndarray, " t"], generator: np.random.Generator, block: int = BLOCK_FRAMES
) -> tuple[float, float] | None:
    """95 % interval of a mean by the moving-block bootstrap (Künsch 1989).

    Neighbouring frames are alike, so whole blocks of one second are drawn; single frames would give an interval
    that is several times too narrow.

    Args:
        values: One value per frame; NaN is left out.
        generator: Source of the draws.
        block: Frames per block.

    Returns:
        Lower and upper end; None below two blocks of frames.
    """
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) < 2 * block:
        return None
    sums = np.concatenate([[0.0], np.cumsum(known)])
    block_means = (sums[block:] - sums[:-block]) / block
    draws = generator.integers(0, len(block_means), (RESAMPLES, len(known) // block))
    low, high = np.percentile(block_means[draws].mean(1), [2.5, 97.5])
    return float(low), float(high)
