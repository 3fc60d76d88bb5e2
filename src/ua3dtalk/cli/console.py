"""How the command line looks: bars with rate and time left on stderr, results on stdout."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.progress import Task as Bar
from rich.text import Text

from ua3dtalk.core.progress import Progress, Silent, Task, log
from ua3dtalk.core.progress_lines import LineProgress, rate_text


class _Rate(ProgressColumn):
    """Steps per second, or seconds per step when they are slow."""

    def render(self, task: Bar) -> Text:
        speed = task.finished_speed or task.speed
        return Text(rate_text(speed) if speed else "", style="progress.data.speed")


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
