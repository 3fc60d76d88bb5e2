"""How the command line looks: bars with rate and time left on stderr, results on stdout."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress import Task as Bar
from rich.text import Text

from ua3dtalk.core.progress import Progress, Silent, Task, log


class _Rate(ProgressColumn):
    """Steps per second, or seconds per step when they are slow."""

    def render(self, task: Bar) -> Text:
        speed = task.finished_speed or task.speed
        return Text(rate_text(speed) if speed else "", style="progress.data.speed")


def rate_text(per_second: float) -> str:
    """A rate for people: ``31/s`` or, below one per second, ``4.2 s each``."""
    return f"{per_second:.0f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"


class RichProgress:
    """Bars on a terminal. Tasks may be nested: inner ones appear below and vanish when they are done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """A bar for ``total`` steps; None for work of unknown length."""
        outer = self._bars is None
        bars = self._bars or self._new_bars()
        if outer:
            bars.start()
            self._bars = bars
        bar = bars.add_task(name, total=total, note="")
        try:
            yield _RichTask(bars, bar)
        finally:
            if outer:
                bars.stop()
                self._bars = None
            else:
                bars.remove_task(bar)

    def _new_bars(self) -> Bars:
        return Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self._console,
        )


class _RichTask:
    def __init__(self, bars: Bars, bar: TaskID) -> None:
        self._bars = bars
        self._bar = bar

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._bars.advance(self._bar, steps)
        if note:
            self._bars.update(self._bar, note=note)


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
        rate = self._done / (now - self._start)
        of = f"{self._done}/{self._total}" if self._total else f"{self._done}"
        left = f", {(self._total - self._done) / rate:.0f} s left" if self._total and rate > 0 else ""
        return f"{self._name}: {of} ({rate_text(rate) if rate > 0 else 'starting'}{left}) {self._note}".rstrip()


def make_progress(console: Console, *, silent: bool) -> Progress:
    """Bars on a terminal, lines elsewhere, nothing when silent."""
    if silent:
        return Silent()
    if console.is_terminal:
        return RichProgress(console)
    return LineProgress(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))


@contextmanager
def logging_to(console: Console, *, silent: bool) -> Iterator[None]:
    """Our own logger writes to the console for the length of a ``with`` block; the root logger is left alone."""
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False, markup=False)
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = log.handlers[:], log.propagate, log.level
    log.handlers[:], log.propagate = [handler], False
    log.setLevel(logging.WARNING if silent else logging.INFO)
    try:
        yield
    finally:
        log.handlers[:], log.propagate = before[0], before[1]
        log.setLevel(before[2])
