"""Waiting for what has no event."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], timeout_s: float = 30.0, every_s: float = 0.02) -> None:
    """Look again and again until it holds; fails when it did not happen in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every_s)
