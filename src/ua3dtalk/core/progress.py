"""Progress of long work: stages report through a small protocol; the command line decides how it looks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")
log = logging.getLogger("ua3dtalk")


@runtime_checkable
class Task(Protocol):
    """One bar."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on by ``steps``; ``note`` is a short text beside the bar."""
        ...


@runtime_checkable
class Progress(Protocol):
    """Where long work reports to."""

    def task(self, name: str, total: int | None) -> AbstractContextManager[Task]:
        """A bar for the length of a ``with`` block: ``total`` steps, None for work of unknown length."""
        ...


class Silent:
    """Reports nowhere: the default for library use and tests."""

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        return None


def track(progress: Progress, name: str, items: Iterable[T], total: int | None = None) -> Iterator[T]:
    """Iterate with a bar."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress.task(name, total) as task:
        for item in items:
            yield item
            task.advance()
