"""How fast an avatar speaks: time per frame by stage, as a user meets it, encoder included."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


class StageClock:
    """Collects how long named stages take."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one run of a stage."""
        start = time.perf_counter()
        yield
        self._seconds.setdefault(name, []).append(time.perf_counter() - start)

    @property
    def seconds(self) -> Mapping[str, Sequence[float]]:
        """Durations by stage, in order."""
        return self._seconds


def speed_facts(clock: StageClock, before_first: Sequence[str], per_frame: Sequence[str]) -> dict[str, Any]:
    """Durations as JSON values.

    Args:
        clock: What was timed.
        before_first: Stages that run once, before the first frame.
        per_frame: Stages that run for every frame, in turn, one after the other.

    Returns:
        Per stage the median and the 95th percentile in milliseconds (its first run apart, which warms up); frames per
        second of all per-frame stages together, at the median and at the 95th percentile; and the seconds until the
        first frame is written.
    """
    stages = {}
    for name in per_frame:
        first, *rest = clock.seconds[name]
        values = np.array(rest or [first]) * 1000
        stages[name] = {
            "p50_ms": round(float(np.percentile(values, 50)), 3),
            "p95_ms": round(float(np.percentile(values, 95)), 3),
            "first_ms": round(first * 1000, 3),
        }
    frames = np.sum([clock.seconds[name] for name in per_frame], axis=0)
    steady = frames[1:] if len(frames) > 1 else frames
    once = {name: round(float(sum(clock.seconds[name])), 4) for name in before_first}
    return {
        "frames": len(frames),
        "once_s": once,
        "stages": stages,
        "fps_p50": round(float(1 / np.percentile(steady, 50)), 2),
        "fps_p95": round(float(1 / np.percentile(steady, 95)), 2),
        "first_frame_s": round(float(sum(once.values()) + frames[0]), 4),
    }
