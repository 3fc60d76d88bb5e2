"""The labels of a pixel, and the emotion labels of a stretch of time."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ua3dtalk.core.errors import UserError

NEUTRAL = "neutral"
"""The emotion that all others are measured from."""


class Label(IntEnum):
    """What a pixel of a parsing image shows; the value is what the PNG stores."""

    BACKGROUND = 0
    TORSO = 1
    NECK = 2
    HAIR = 3
    SKIN = 4
    BROWS = 5
    EYES = 6
    LIPS = 7
    INNER_MOUTH = 8


HEAD_LABELS = (Label.HAIR, Label.SKIN, Label.BROWS, Label.EYES, Label.LIPS, Label.INNER_MOUTH)


@dataclass(frozen=True, kw_only=True)
class EmotionSpan:
    """An emotion that the user says is shown in a stretch of the video."""

    start_s: float
    """Start, seconds, in the subject's time."""
    end_s: float
    """End, seconds, exclusive."""
    label: str
    """Name of the emotion, e.g. ``happy``."""
    intensity: float = 1.0
    """Strength, 0..1."""
    varies: bool = False
    """The user did not say how strong it is: ``intensity`` is the most, each frame's own is seen in the face."""

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"An emotion span must have 0 <= start_s < end_s, got {self.start_s}..{self.end_s}.")
        if not 0 <= self.intensity <= 1:
            raise ValueError(f"An emotion's intensity must be in 0..1, got {self.intensity}.")
        if not self.label:
            raise ValueError("An emotion span needs a label.")


def read_emotion_csv(path: Path) -> list[EmotionSpan]:
    """Read emotion labels from a CSV file with a header ``start_s,end_s,label[,intensity]``.

    Where no intensity is given, it is seen in the face, frame by frame.

    Raises:
        UserError: the file is missing or a line is wrong; the message names the line.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist.", "Check the path given for the emotion labels.")
    spans: list[EmotionSpan] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            for row in csv.DictReader(handle, skipinitialspace=True):
                fields = {(key or "").strip(): (value or "").strip() for key, value in row.items() if key is not None}
                spans.append(
                    EmotionSpan(
                        start_s=float(fields["start_s"]),
                        end_s=float(fields["end_s"]),
                        label=fields["label"].lower(),
                        intensity=float(fields.get("intensity") or 1.0),
                        varies=not fields.get("intensity"),
                    )
                )
    except (KeyError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}, line {len(spans) + 2}: {error}.", "Write columns start_s,end_s,label,intensity in seconds."
        ) from error
    return sorted(spans, key=lambda span: span.start_s)
