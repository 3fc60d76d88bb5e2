"""What a user can ask of a synthesis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ua3dtalk.core.errors import UserError

AUTO = "auto"
BLINKS = ("source", "generated", "none")
POSES = ("source", "still")


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """Everything about a synthesis but the avatar, the sound and the output.

    Raises:
        UserError: a value is out of range or excludes another; the message names the option.
    """

    emotion: str = AUTO
    """``auto`` (from the voice) or an emotion label that the avatar's priors know."""
    intensity: float = 1.0
    """How far from neutral towards the label, 0..1."""
    timeline: Path | None = None
    """CSV with emotions over time (``timeline.read_timeline``); excludes ``emotion``."""
    confidence: Path | None = None
    """Also write the uncertainty as a heat video here."""
    report: Path | None = None
    """Also write settings and a confidence per frame here, JSON."""
    pose: str = "source"
    """``source`` (the subject's own movement, to and fro), ``still``, or a path of an ``.npz`` with ``viewmats``."""
    blink: str = "source"
    """``source`` (the subject's own), ``generated`` (every 2–5 s) or ``none``."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intensity) and 0 <= self.intensity <= 1):
            raise UserError(f"--intensity {self.intensity} is out of range.", "Use 0 (neutral) to 1 (full).")
        if self.blink not in BLINKS:
            raise UserError(f"--blink {self.blink!r} is not known.", f"Use {', '.join(BLINKS)}.")
        if not self.emotion.strip():
            raise UserError("--emotion is empty.", f"Use {AUTO} or a label such as happy.")
        if self.timeline is not None and self.emotion != AUTO:
            raise UserError("--timeline and --emotion exclude each other.", "Give one of them.")
        if self.pose not in POSES and not Path(self.pose).is_file():
            raise UserError(f"--pose {self.pose!r} does not exist.", f"Use {', '.join(POSES)}, or a file with poses.")
