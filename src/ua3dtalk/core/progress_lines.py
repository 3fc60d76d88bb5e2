"""Progress as lines of text, for log files and processes without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ua3dtalk.core.progress import Task


def rate_text(per_second: float) -> str:
    """A rate for people: ``31/s`` or, below one per second, ``4.2 s each``."""
    return f"{per_second:.0f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"


def duration_text(seconds: float) -> str:
    """A time for people: ``90 s``, ``25 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class LineProgress:
    """Where there is no terminal (a log file, continuous integration): a line now and then.

    Args:
        write: Takes one finished line.
        every_s: Seconds between two lines of one task.
        clock: Seconds, growing; tests pass their own.
    """

    def __init__(
        self, write: Callable[[str], None], every_s: float = 15.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._every_s = every_s
        self._clock = clock

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """A task that reports its start's first line after ``every_s`` and its end."""
        task = _LineTask(name, total, self._write, self._every_s, self._clock)
        yield task
        task.finish()


class _LineTask:
    def __init__(
        self, name: str, total: int | None, write: Callable[[str], None], every_s: float, clock: Callable[[], float]
    ) -> None:
        self._name, self._total, self._write, self._every_s, self._clock = name, total, write, every_s, clock
        self._start = self._last = clock()
        self._done = 0
        self._note = ""

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        self._note = note or self._note
        now = self._clock()
        if now - self._last >= self._every_s:
            self._last = now
            self._write(self._line(now))

    def finish(self) -> None:
        seconds = self._clock() - self._start
        self._write(f"{self._name}: done in {seconds:.1f} s{f' ({self._note})' if self._note else ''}")

    def _line(self, now: float) -> str:
        of = f"{self._done}/{self._total}" if self._total else f"{self._done}"
        if self._done < 2:  # the first step often compiles or loads something: its rate tells nothing
            return f"{self._name}: {of} {self._note}".rstrip()
        rate = self._done / (now - self._start)
        left = f", {duration_text((self._total - self._done) / rate)} left" if self._total else ""
        return f"{self._name}: {of} ({rate_text(rate)}{left}) {self._note}".rstrip()
