"""Progress never changes what is iterated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ua3dtalk.core.progress import Silent, Task, track


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        self.events.append((name, total))
        yield self
        self.events.append(("end", None))

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.events.append(("step", steps))


def test_track_yields_everything_and_counts() -> None:
    recorder = Recorder()
    assert list(track(recorder, "frames", [3, 1, 2])) == [3, 1, 2]
    assert recorder.events == [("frames", 3), *[("step", 1)] * 3, ("end", None)]


def test_track_knows_no_total_of_a_stream() -> None:
    recorder = Recorder()
    assert list(track(recorder, "frames", iter("ab"))) == ["a", "b"]
    assert recorder.events[0] == ("frames", None)
    assert list(track(recorder, "frames", iter("ab"), total=2)) == ["a", "b"]
    assert recorder.events[4] == ("frames", 2)


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(Silent(), "x", range(3))) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
