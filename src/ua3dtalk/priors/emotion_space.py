"""The emotion space: labels as points, intensity as the way from neutral to a point (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.features import EmotionRequest
from ua3dtalk.subject.labels import EmotionSpan

NEUTRAL = "neutral"
WORDS = {
    "anger": "angry", "happiness": "happy", "joy": "happy", "sadness": "sad", "fear": "fearful", "disgust": "disgusted",
    "surprise": "surprised", "contemptuous": "contempt", "boredom": "bored", "calm": "neutral",
}  # fmt: skip
"""Other words for the labels."""
CLEAR = 0.35
"""A subject's own label counts as heard when its centroid is this far from neutral, in typical label distances."""


@dataclass(frozen=True, kw_only=True)
class EmotionSpace:
    """Points of the labels; ``neutral`` is one of them."""

    labels: tuple[str, ...]
    """Known labels."""
    points: Float32[np.ndarray, "l 128"]
    """One point for each label."""

    def place(self, request: EmotionRequest, num_frames: int) -> Float32[np.ndarray, "t 128"]:
        """Points asked for: from neutral toward the label's point by the intensity.

        Raises:
            UserError: a label is not known; the message lists those that are.
        """
        return self.from_weights(self.weights(request, num_frames))

    def from_weights(self, weights: Float32[np.ndarray, "t l"]) -> Float32[np.ndarray, "t 128"]:
        """Points at given strengths of the labels."""
        neutral = self.points[self.labels.index(NEUTRAL)]
        return (neutral + weights @ (self.points - neutral)).astype(np.float32)

    def weights(self, request: EmotionRequest, num_frames: int) -> Float32[np.ndarray, "t l"]:
        """How strong each label is in each frame; the column of neutral is always 0 (it is where the way starts)."""
        names, strengths = request.per_frame(num_frames)
        columns = np.array([self._column(name) for name in names], int)
        weights = np.zeros((num_frames, len(self.labels)), np.float32)
        weights[np.arange(num_frames), columns] = strengths
        weights[:, self.labels.index(NEUTRAL)] = 0
        return weights

    def probabilities(self, weights: Float32[np.ndarray, "t l"]) -> Float32[np.ndarray, "t l"]:
        """Strengths as probabilities: what is left over is neutral."""
        found = weights.copy()
        found[:, self.labels.index(NEUTRAL)] = np.clip(1 - weights.sum(axis=1), 0, 1)
        return found

    def _column(self, name: str) -> int:
        known = name.strip().lower()
        known = known if known in self.labels else WORDS.get(known, known)
        if known not in self.labels:
            raise UserError(f"Emotion {name!r} is not known.", f"Known are: {', '.join(self.labels)}.")
        return self.labels.index(known)


def span_request(spans: Sequence[EmotionSpan], num_frames: int, fps: float = 25.0) -> EmotionRequest:
    """The subject's own labels, frame by frame; neutral where nothing was named."""
    names = [NEUTRAL] * num_frames
    strengths = np.zeros(num_frames, np.float32)
    for span in spans:
        for i in range(max(0, round(span.start_s * fps)), min(num_frames, round(span.end_s * fps))):
            names[i], strengths[i] = span.label, span.intensity
    return EmotionRequest(names, strengths)


def extend_space(
    space: EmotionSpace,
    spans: Sequence[EmotionSpan],
    heard: Float32[np.ndarray, "t 128"],
    used: Sequence[int],
    fps: float = 25.0,
) -> EmotionSpace:
    """Add the labels that only this subject has.

    A label that the teacher knows keeps the teacher's point. A new one gets the mean embedding of its spans where that
    is clearly away from neutral, else a direction of its own at the typical distance (its name decides which).

    Args:
        space: The teacher's space.
        spans: The subject's labels.
        heard: The teacher's embedding of each frame.
        used: Frames that may be looked at.
        fps: Frames per second.
    """
    request = span_request(spans, len(heard), fps)
    neutral = space.points[space.labels.index(NEUTRAL)]
    typical = float(np.linalg.norm(space.points - neutral, axis=1).max())
    labels, points = list(space.labels), list(space.points)
    for name in sorted({WORDS.get(span.label, span.label) for span in spans} - set(space.labels)):
        frames = [i for i in used if WORDS.get(request.labels[i], request.labels[i]) == name]
        shift = heard[frames].mean(axis=0) - neutral if frames else np.zeros_like(neutral)
        if np.linalg.norm(shift) < CLEAR * typical:
            direction = np.random.default_rng(sum(name.encode())).normal(size=len(neutral))
            shift = direction / np.linalg.norm(direction) * typical
        labels.append(name)
        points.append((neutral + shift).astype(np.float32))
    return EmotionSpace(labels=tuple(labels), points=np.stack(points).astype(np.float32))
