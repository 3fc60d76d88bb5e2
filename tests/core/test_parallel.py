"""Threads that keep order, bounds and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ua3dtalk.core.parallel import ordered_map


def test_results_come_in_order() -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.02 if i == 0 else 0.0)
        return i * i

    assert list(ordered_map(slow_first, range(20), workers=4)) == [i * i for i in range(20)]


def test_items_are_not_taken_far_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(100):
            taken = i + 1
            yield i

    results = ordered_map(lambda i: i, items(), workers=2)
    assert next(results) == 0
    assert taken <= 5, "two workers, two items ahead of each, and one"
    results.close()  # type: ignore[attr-defined]


def test_an_error_goes_on_and_nothing_runs_after_it() -> None:
    running = threading.Semaphore(0)

    def work(i: int) -> int:
        if i == 3:
            raise KeyboardInterrupt
        time.sleep(0.005)
        running.release()
        return i

    with pytest.raises(KeyboardInterrupt):
        list(ordered_map(work, range(50), workers=2))
    done = running._value
    time.sleep(0.05)
    assert running._value == done, "no thread works on after the error has arrived"
    assert done < 12
