"""One thing the report has to say, and how times and lists read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Topic = Literal["pictures", "person", "tracking", "sound", "light", "face", "emotion"]
LISTED = 6
"""More moments than this are counted, not listed."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about the video that matters to its avatar."""

    level: Literal["refuse", "warn", "ok"]
    """``refuse``: it cannot work; ``warn``: it will look bad; ``ok``: it is as it should be."""
    topic: Topic
    """What it is about."""
    what: str
    """One or two sentences in plain words."""
    cure: str = ""
    """What the user can do, or record."""
    stops: Literal["", "prepare", "train"] = ""
    """What a refusal ends: ``prepare`` (the pictures are of no use) or ``train`` (nothing can be learnt from them)."""


def moments(times_s: Sequence[float]) -> str:
    """Times as text."""
    listed = ", ".join(f"{time:.1f}" for time in times_s[:LISTED])
    more = f" and {len(times_s) - LISTED} more" if len(times_s) > LISTED else ""
    return f"{listed}{more} s"


def stretches(spans_s: Sequence[tuple[float, float]]) -> str:
    """Stretches of time as text."""
    listed = ", ".join(f"{start:.1f}–{end:.1f}" for start, end in spans_s[:LISTED])
    more = f" and {len(spans_s) - LISTED} more" if len(spans_s) > LISTED else ""
    return f"{listed}{more} s"


def total_s(spans_s: Sequence[tuple[float, float]]) -> float:
    """How long they are together, seconds."""
    return sum((end - start for start, end in spans_s), 0.0)
