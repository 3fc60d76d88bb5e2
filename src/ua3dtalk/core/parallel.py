"""Working on many items in threads, in order and with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(function: Callable[[T], R], items: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """``map`` in threads: results come in the order of the items, so that what they make does not depend on timing.

    Items are taken from their iterator in the caller's thread, at most two per worker ahead of the results. If anything
    raises, what has not begun is dropped, what has begun is waited for, and the error goes on.

    Args:
        function: Work that releases the interpreter's lock (codecs, OpenCV, NumPy on large arrays); must be safe in
            threads.
        items: What to work on.
        workers: Threads; None is one for each usable core.
    """
    workers = workers or usable_cores()
    running: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, "work")
    try:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
