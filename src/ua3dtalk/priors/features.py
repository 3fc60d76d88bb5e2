"""What the priors hand to the avatar: one record per video frame. T frames, L emotion labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError


@dataclass(frozen=True)
class PriorFeatures:
    """Features of a recording, frame by frame."""

    content: Float32[np.ndarray, "t 64"]
    """``f_exp``: the lip expert that knows nobody; about unit variance."""
    style: Float32[np.ndarray, "t 64"]
    """``f_style``: what this person adds; -1..1 before alignment of folds."""
    emotion: Float32[np.ndarray, "t 128"]
    """``f_emo``: a point of the emotion space."""
    lower: Float32[np.ndarray, "t 13"]
    """Predicted lower-face coefficients (z-scores of ``TrackData.lower``), emotion included."""
    upper_offset: Float32[np.ndarray, "t 6"]
    """Mean shift of the upper-face signals that goes with the emotion; 0 where unknown."""
    emotion_probs: Float32[np.ndarray, "t l"]
    """Class probabilities of the teacher, or what was asked for."""
    confidence: Float32[np.ndarray, " t"]
    """How sure the emotion is, 0..1."""
    voiced: Float32[np.ndarray, " t"]
    """Voice activity, 0..1."""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.lower)

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class EmotionRequest:
    """Emotion asked for, instead of heard: one label for all frames or one per frame, with an intensity."""

    labels: str | Sequence[str]
    """Label, or T labels."""
    intensity: Float32[np.ndarray, " t"] | float = 1.0
    """0 (neutral) to 1 (the label's own point); one value or T."""

    def per_frame(self, num_frames: int) -> tuple[list[str], Float32[np.ndarray, " t"]]:
        """Label and intensity of each frame; the last one is repeated where the request is shorter.

        Raises:
            UserError: empty, or an intensity outside 0..1.
        """
        names = [self.labels] if isinstance(self.labels, str) else list(self.labels)
        strengths = np.atleast_1d(np.asarray(self.intensity, np.float32))
        if not names or not len(strengths):
            raise UserError("The emotion request is empty.", "Name a label.")
        if not (np.isfinite(strengths).all() and (strengths >= 0).all() and (strengths <= 1).all()):
            raise UserError(
                f"Emotion intensity {strengths.min():g}..{strengths.max():g} is outside 0..1.", "Use 0 to 1."
            )
        names = [*names, *[names[-1]] * (num_frames - len(names))][:num_frames]
        index = np.minimum(np.arange(num_frames), len(strengths) - 1)
        return names, strengths[index].astype(np.float32)
