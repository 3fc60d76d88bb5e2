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
    """``auto`` (from the voice) or an emotion label that the subject showed."""
    intensity: float = 1.0
    """How far from neutral towards the label, 0..1; with ``emotion_from`` a factor."""
    timeline: Path | None = None
    """CSV with emotions over time (``timeline.read_timeline``); excludes ``emotion``."""
    emotion_from: Path | None = None
    """Video whose face gives the emotion over time (``driving.read_driving``); excludes the other two."""
    extrapolate: bool = False
    """Borrow emotions that the subject never showed from other people; else they are refused."""
    confidence: Path | None = None
    """Also write where errors are expected, as a heat video, here."""
    side_by_side: bool = False
    """Show the talking head beside that heat."""
    min_confidence: float = 0.0
    """Below this confidence in the speech, 0..1, the motion is drawn towards the person's mean; 0 changes nothing."""
    report: Path | None = None
    """Also write what to expect of every frame, and why, here, JSON."""
    pose: str = "source"
    """``source`` (the subject's own movement, to and fro), ``still``, or a path of an ``.npz`` with ``viewmats``."""
    blink: str = "source"
    """``source`` (the subject's own), ``generated`` (every 2–5 s) or ``none``."""
    marked: bool = True
    """Whether what is written says that it was made by a machine; it is logged where it does not."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intensity) and 0 <= self.intensity <= 1):
            raise UserError(f"--intensity {self.intensity} is out of range.", "Use 0 (neutral) to 1 (full).")
        if not (math.isfinite(self.min_confidence) and 0 <= self.min_confidence <= 1):
            raise UserError(f"--min-confidence {self.min_confidence} is out of range.", "Use 0 (off) to 1.")
        if self.side_by_side and self.confidence is None:
            raise UserError("--side-by-side belongs to a heat video.", "Give --confidence MAP.mp4 too.")
        if self.blink not in BLINKS:
            raise UserError(f"--blink {self.blink!r} is not known.", f"Use {', '.join(BLINKS)}.")
        if not self.emotion.strip():
            raise UserError("--emotion is empty.", f"Use {AUTO} or a label such as happy.")
        given = {
            "--emotion": self.emotion.strip() != AUTO,
            "--timeline": self.timeline is not None,
            "--emotion-from": self.emotion_from is not None,
        }
        if len(several := [name for name, there in given.items() if there]) > 1:
            raise UserError(f"{' and '.join(several)} exclude each other.", "Give one of them.")
        if self.extrapolate and not any(given.values()):
            raise UserError("--extrapolate has nothing to borrow: the voice decides.", "Name an emotion.")
        if self.timeline is not None and self.intensity != 1:
            raise UserError("--timeline has intensities of its own.", "Leave --intensity out.")
        if self.pose not in POSES and not Path(self.pose).is_file():
            raise UserError(f"--pose {self.pose!r} does not exist.", f"Use {', '.join(POSES)}, or a file with poses.")
