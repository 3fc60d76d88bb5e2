"""Emotions over time from a CSV file, with smooth transitions."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_space import WORDS

TRANSITION_S = 0.6
"""A change of emotion takes this long; it passes through neutral, because there is one label per frame."""
_MAX_LINES = 100_000


@dataclass(frozen=True, kw_only=True)
class Moment:
    """From this time on, until the next one."""

    time_s: float
    """Start, seconds."""
    label: str
    """Emotion."""
    intensity: float
    """0..1."""


def read_timeline(path: Path, labels: Sequence[str], duration_s: float) -> list[Moment]:
    """Read a CSV with a header: ``time_s,label,intensity`` (each line holds until the next) or
    ``start_s,end_s,label,intensity`` (neutral between the spans). ``intensity`` may be left out.

    Args:
        path: The file.
        labels: Emotions that are known.
        duration_s: Length of the speech.

    Raises:
        UserError: one sentence that names the line: unsorted or overlapping, outside the speech, a bad number,
            an unknown label, no lines at all.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(_rows(handle))
    except OSError as error:
        raise UserError(f"--timeline {path} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--timeline {path} is not a CSV file.", "Save it as plain text, UTF-8.") from error
    if len(rows) < 2:
        raise UserError(f"--timeline {path} holds no lines.", "Write time_s,label,intensity and lines below it.")
    _, header = rows[0]
    spans = "start_s" in header
    needed = ("start_s", "end_s", "label") if spans else ("time_s", "label")
    if missing := [name for name in needed if name not in header]:
        raise UserError(
            f"--timeline {path} has no column {missing[0]!r}.", "The first line must be time_s,label,intensity."
        )
    moments: list[Moment] = []
    for number, cells in rows[1:]:
        line = _Line(f"--timeline {path}, line {number}", dict(zip(header, cells, strict=False)))
        line.add(moments, spans, labels, duration_s)
    return moments


def timeline_track(
    moments: Sequence[Moment], num_frames: int, fps: float = 25.0
) -> tuple[list[str], Float64[np.ndarray, " t"]]:
    """Label and intensity of every frame.

    Between moments of one label the intensity glides; between different labels it sinks to neutral and rises again.
    The transition is centred on the moment's time. Before the first moment all is neutral in that moment's label.

    Args:
        moments: In order of time, at least one.
        num_frames: T.
        fps: Frames per second.
    """
    time_s = np.arange(num_frames) / fps
    label_at = np.searchsorted([m.time_s for m in moments[1:]], time_s, side="right")
    labels = [moments[i].label for i in label_at]
    intensity = np.full(num_frames, moments[0].intensity, np.float64)
    if moments[0].time_s > 0:
        intensity = intensity * _rise(time_s, moments[0].time_s)
    for before, after in pairwise(moments):
        if before.label == after.label:
            step = _rise(time_s, after.time_s)
            intensity = intensity * (1 - step) + after.intensity * step
        else:
            half = TRANSITION_S / 4
            falling = 1 - _rise(time_s, after.time_s - half, TRANSITION_S / 2)
            rising = _rise(time_s, after.time_s + half, TRANSITION_S / 2)
            intensity = np.where(time_s < after.time_s, intensity * falling, after.intensity * rising)
    return labels, intensity


def _rise(time_s: np.ndarray, centre_s: float, length_s: float = TRANSITION_S) -> np.ndarray:
    """0 to 1 along a raised cosine around a time."""
    return (1 - np.cos(np.pi * np.clip((time_s - centre_s) / length_s + 0.5, 0, 1))) / 2


def _rows(handle: Iterable[str]) -> Iterable[tuple[int, list[str]]]:
    """Line number and cells of lines that are neither empty nor comments; the header in small letters."""
    header = True
    for number, cells in enumerate(csv.reader(handle, skipinitialspace=True), 1):
        if number > _MAX_LINES:
            raise csv.Error("too long")
        stripped = [cell.strip() for cell in cells]
        if not any(stripped) or stripped[0].startswith("#"):
            continue
        yield number, [cell.lower() for cell in stripped] if header else stripped
        header = False


@dataclass(frozen=True)
class _Line:
    where: str
    cells: dict[str, str]

    def add(self, moments: list[Moment], spans: bool, labels: Sequence[str], duration_s: float) -> None:
        start_s = self.number("start_s" if spans else "time_s")
        if moments and start_s < moments[-1].time_s:
            what = "overlaps or precedes the span before it" if spans else "is earlier than the line before it"
            raise UserError(f"{self.where} {what} ({start_s:g} s).", "Sort the lines by time.")
        if moments and not spans and start_s == moments[-1].time_s:
            raise UserError(f"{self.where} names {start_s:g} s a second time.", "Keep one of the lines.")
        if not 0 <= start_s < duration_s:
            raise UserError(f"{self.where}: {start_s:g} s is outside the speech of {duration_s:.2f} s.", "Correct it.")
        label = self.cells.get("label", "").lower()
        label = WORDS.get(label, label)
        if label not in labels:
            raise UserError(f"{self.where}: emotion {label!r} is not known.", f"Use {', '.join(labels)}.")
        intensity = self.number("intensity") if self.cells.get("intensity") else 1.0
        if not 0 <= intensity <= 1:
            raise UserError(f"{self.where}: intensity {intensity:g} is out of range.", "Use 0 to 1.")
        if spans and moments and start_s == moments[-1].time_s:
            moments.pop()  # the neutral gap has no length
        moments.append(Moment(time_s=start_s, label=label, intensity=intensity))
        if spans:
            end_s = self.number("end_s")
            if end_s <= start_s:
                raise UserError(f"{self.where} ends at {end_s:g} s, before it starts.", "Correct it.")
            if end_s > duration_s + 0.04:
                raise UserError(
                    f"{self.where}: {end_s:g} s is outside the speech of {duration_s:.2f} s.", "Correct it."
                )
            moments.append(Moment(time_s=end_s, label=label, intensity=0.0))

    def number(self, name: str) -> float:
        text = self.cells.get(name, "")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{self.where}: {name} {text!r} is not a number.", "Write seconds such as 2.5.")
        return value
