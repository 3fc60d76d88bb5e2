"""Emotions over time from a CSV file, with smooth transitions."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_space import spelled
from ua3dtalk.priors.features import EmotionMix

TRANSITION_S = 0.6
"""A change of emotion takes this long, centred on its time: one emotion fades while the next one rises."""
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


def timeline_track(moments: Sequence[Moment], num_frames: int, fps: float = 25.0) -> EmotionMix:
    """Strength of every label in every frame.

    Each moment fades out while the next one fades in, so that strengths never jump and add up to 1 at most; between two
    of one label the intensity glides. Before the first moment all is neutral.

    Args:
        moments: In order of time, at least one.
        num_frames: T.
        fps: Frames per second.
    """
    time_s = np.arange(num_frames) / fps
    labels = tuple(dict.fromkeys(moment.label for moment in moments))
    strengths = np.zeros((num_frames, len(labels)))
    share = _rise(time_s, moments[0].time_s) if moments[0].time_s > 0 else np.ones(num_frames)
    for moment, after in zip(moments, [*moments[1:], None], strict=True):
        rest = np.zeros(num_frames) if after is None else _rise(time_s, after.time_s)
        strengths[:, labels.index(moment.label)] += (share - rest) * moment.intensity
        share = rest
    return EmotionMix(labels, strengths.clip(0, 1).astype(np.float32))


def _rise(time_s: np.ndarray, centre_s: float) -> np.ndarray:
    """0 to 1 along a raised cosine around a time."""
    return (1 - np.cos(np.pi * np.clip((time_s - centre_s) / TRANSITION_S + 0.5, 0, 1))) / 2


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
        label = spelled(self.cells.get("label", ""), labels)
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
