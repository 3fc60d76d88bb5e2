"""Work that must not keep the page waiting, one piece after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ua3dtalk.core.progress import log


class Errands:
    """One thread that does what it is asked to. Of several wishes of a kind that wait, only the newest is done.

    Args:
        name: For the thread.
    """

    def __init__(self, name: str) -> None:
        self._wishes: dict[str, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def ask(self, kind: str, do: Callable[[], None]) -> None:
        """Do something soon, in place of an older wish of the kind that has not begun.

        Args:
            kind: What it is about.
            do: The work; it deals with its own errors.
        """
        with self._changed:
            self._wishes.pop(kind, None)
            self._wishes[kind] = do
            self._changed.notify()

    def close(self, timeout_s: float = 5.0) -> None:
        """Forget what waits and wait for what runs."""
        with self._changed:
            self._open = False
            self._wishes.clear()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wishes or not self._open)
                if not self._open:
                    return
                do = self._wishes.pop(next(iter(self._wishes)))
            try:
                do()
            except Exception:  # the thread must outlive a fault; the log has it
                log.exception("The viewer could not do what the page asked for.")
