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

    @property
    def present(self) -> Float32[np.ndarray, "t 4"]:
        """Presence of audio, content, style and emotion; style is absent where it did not help the person."""
        there = np.ones((len(self.content), 4), np.float32)
        there[:, 2] = float(np.any(self.style))
        return there

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class EmotionMix:
    """Emotion asked for, frame by frame, as strengths of labels; what is missing to 1 is neutral."""

    labels: tuple[str, ...]
    """Labels, each once."""
    strengths: Float32[np.ndarray, "t k"]
    """How strong each label is in each frame: 0..1, and together at most 1."""
    extrapolate: bool = False
    """Labels that the subject never showed are borrowed from other people instead of refused."""

    def mix(self, num_frames: int) -> EmotionMix:
        """Cut to T frames; the last one is repeated where there are fewer.

        Raises:
            UserError: empty, or strengths out of range.
        """
        strengths = self.strengths
        if not self.labels or not len(strengths):
            raise UserError("The emotion request is empty.", "Name a label.")
        if not (np.isfinite(strengths).all() and (strengths >= 0).all() and (strengths.sum(axis=1) <= 1 + 1e-4).all()):
            raise UserError(
                f"Emotion intensity {strengths.min():g}..{strengths.sum(axis=1).max():g} is outside 0..1.",
                "Use 0 to 1.",
            )
        rows = np.minimum(np.arange(num_frames), len(strengths) - 1)
        return EmotionMix(self.labels, strengths[rows], self.extrapolate)

    def used_beyond(self, known: Sequence[str]) -> tuple[str, ...]:
        """Labels that are felt somewhere and are not among the known ones."""
        most = self.strengths.max(axis=0, initial=0.0)
        return tuple(name for k, name in enumerate(self.labels) if most[k] > 0 and name not in known)

    def leading(self) -> tuple[list[str], Float32[np.ndarray, " t"]]:
        """The strongest label of each frame, and the strength of all together."""
        names = [self.labels[k] for k in self.strengths.argmax(axis=1)]
        return names, self.strengths.sum(axis=1)


@dataclass(frozen=True)
class EmotionRequest:
    """Emotion asked for, instead of heard: one label for all frames or one per frame, with an intensity."""

    labels: str | Sequence[str]
    """Label, or T labels."""
    intensity: Float32[np.ndarray, " t"] | float = 1.0
    """0 (neutral) to 1 (the label's own point); one value or T."""
    extrapolate: bool = False
    """A label that the subject never showed is borrowed from other people instead of refused."""

    def mix(self, num_frames: int) -> EmotionMix:
        """The same as strengths of labels; the last one is repeated where the request is shorter.

        Raises:
            UserError: empty, or an intensity outside 0..1.
        """
        names = [self.labels] if isinstance(self.labels, str) else list(self.labels)
        given = np.atleast_1d(np.asarray(self.intensity, np.float32))
        count = max(len(names), len(given)) if names and len(given) else 0
        labels = tuple(sorted(set(names)))
        strengths = np.zeros((count, len(labels)), np.float32)
        for i in range(count):
            strengths[i, labels.index(names[min(i, len(names) - 1)])] = given[min(i, len(given) - 1)]
        return EmotionMix(labels, strengths, self.extrapolate).mix(num_frames)
