"""The mean of a per-frame metric over one row, as a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ua3dtalk.evaluation.intervals import BLOCK_FRAMES, mean_interval
from ua3dtalk.evaluation.measure import Measure


def mean_over_frames(
    values: Sequence[float], *, seed: int, every: int = 1, details: Mapping[str, Any] | None = None
) -> Measure:
    """Mean with its 95 % interval by blocks of one second; without values, no value.

    Args:
        values: One per measured frame, in order of time.
        seed: Of the interval's draws.
        every: Distance of the measured frames, frames.
        details: More to record beside the number of frames.
    """
    array = np.array(values, np.float64)
    interval = mean_interval(array, np.random.default_rng(seed), block=max(1, BLOCK_FRAMES // every))
    return Measure(
        value=float(array.mean()) if len(array) else None,
        interval=interval,
        details={"frames": len(array), **(details or {})},
    )
