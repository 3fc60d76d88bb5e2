"""What a metric is: its definition, what it sees of a frame, and what it says at the end.

Every metric of its own module is a pure function (tested against an oracle) and a *meter* that feeds it frame by frame,
so that memory does not grow with the pictures. A metric that cannot be computed says why; nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ua3dtalk.evaluation.regions import FrameRegions
from ua3dtalk.tracking.normalised import normalised_points

Ideal = Literal["higher", "lower", "one", "zero", "real"]
"""Which way is better: more, less, exactly 1, exactly 0, or as the real video's row has it."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One number of the report."""

    key: str
    """Name in ``metrics.json``."""
    title: str
    """Heading on the page."""
    unit: str
    """Unit, e.g. ``dB`` or ``frames``; empty for plain numbers."""
    ideal: Ideal
    """Which way is better."""
    meaning: str
    """What is computed, in one or two sentences."""
    source: str = ""
    """Where the definition comes from."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The value of one number for one row."""

    value: float | None
    """None where it is not defined for this input or not available."""
    interval: tuple[float, float] | None = None
    """95 % interval, where it has one."""
    unavailable: str | None = None
    """Why there is no value, and what would give one."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to it (JSON values): dimensions, counts, floors."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One frame of one row beside the real one."""

    position: int
    """0 for the first evaluated frame."""
    picture: UInt8[np.ndarray, "h w 3"]
    """Rendered frame, RGB."""
    real: UInt8[np.ndarray, "h w 3"]
    """Real frame, RGB."""
    landmarks: Float32[np.ndarray, "478 3"] | None
    """Face points of the rendered frame, pixels; None without a face."""
    real_landmarks: Float32[np.ndarray, "478 3"] | None
    """Face points of the real frame, pixels; None without a face."""
    regions: FrameRegions
    """Masks, from the real frame."""

    @cached_property
    def points(self) -> Float64[np.ndarray, "478 3"] | None:
        """Face points of the rendered frame without pose, size and place (``tracking.normalised``)."""
        return None if self.landmarks is None else normalised_points(self.landmarks)

    @cached_property
    def real_points(self) -> Float64[np.ndarray, "478 3"] | None:
        """The same of the real frame."""
        return None if self.real_landmarks is None else normalised_points(self.real_landmarks)


@runtime_checkable
class Meter(Protocol):
    """Sees all frames of one row in order, then says its numbers."""

    definitions: tuple[Definition, ...]

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        ...

    def results(self) -> dict[str, Measure]:
        """The numbers by ``Definition.key``."""
        ...


MakeMeter = Callable[[], Meter]
"""Gives a fresh meter; every row has its own."""


class Missing:
    """A meter that has nothing to measure with, and says so under the names it would have measured.

    Args:
        definitions: The numbers that are missing.
        why: What is missing and what would give it, one sentence each.
    """

    def __init__(self, definitions: tuple[Definition, ...], why: str) -> None:
        self.definitions = definitions
        self._why = why

    def see(self, moment: Moment) -> None:
        """Nothing."""

    def results(self) -> dict[str, Measure]:
        """Every number unavailable, with the reason."""
        return {d.key: Measure(value=None, unavailable=self._why) for d in self.definitions}
