"""The emotion space: labels as points, intensity as the way from neutral to a point (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.features import EmotionMix, EmotionRequest
from ua3dtalk.subject.labels import NEUTRAL, EmotionSpan

WORDS = {
    "anger": "angry", "happiness": "happy", "joy": "happy", "sadness": "sad", "fear": "fearful", "disgust": "disgusted",
    "surprise": "surprised", "contemptuous": "contempt", "boredom": "bored", "calm": "neutral",
}  # fmt: skip
"""Other words for the labels."""
LEAST_SHOWN_FRAMES = 25
"""A label counts as shown when it fills this many training frames."""
CLEAR = 0.35
"""A subject's own label counts as heard when its centroid is this far from neutral, in typical label distances."""


def spelled(name: str, known: Sequence[str]) -> str:
    """A label as it is written here: small letters, and another word for it if only that one is known."""
    name = name.strip().lower()
    return name if name in known else WORDS.get(name, name)


@dataclass(frozen=True, kw_only=True)
class Askable:
    """What can be asked of an avatar: its subject's own emotions, and those that other people lend."""

    shown: tuple[str, ...]
    """Emotions of the subject's labelled video; empty where nothing is labelled. Neutral can always be asked for."""
    lent: tuple[str, ...]
    """Emotions that other people lend."""

    @property
    def own(self) -> tuple[str, ...]:
        """What needs no loan."""
        return (NEUTRAL, *(name for name in self.shown if name != NEUTRAL))

    def find(self, name: str, extrapolate: bool) -> str:
        """A label as it is written here.

        Raises:
            UserError: the subject never showed it and ``extrapolate`` is not set, or nobody can lend it.
        """
        every = (*self.own, *(lent for lent in self.lent if lent not in self.own))
        found = spelled(name, every)
        if found in self.own or (found in self.lent and extrapolate):
            return found
        lending = f"--extrapolate borrows the motion of other people for {', '.join(self.lent)}."
        if found not in every:
            what = f"Emotion {name!r} is not known: the subject did not show it, and nobody can lend it."
            raise UserError(what, f"Use {', '.join(self.own)}; {lending}")
        if not self.shown:
            what = f"The subject's video carries no emotion labels, so the avatar never learnt {found!r}."
            raise UserError(what, f"Prepare and train it with --labels; or {lending}")
        raise UserError(
            f"The subject never showed {found!r}, only {', '.join(self.shown)}.", f"Use one of these; or {lending}"
        )


@dataclass(frozen=True, kw_only=True)
class EmotionSpace:
    """Points of the labels; ``neutral`` is one of them."""

    labels: tuple[str, ...]
    """Known labels."""
    points: Float32[np.ndarray, "l 128"]
    """One point for each label."""
    shown: tuple[str, ...] = ()
    """Emotions that the subject's labelled video shows; empty where nothing is labelled."""

    def place(self, request: EmotionRequest | EmotionMix, num_frames: int) -> Float32[np.ndarray, "t 128"]:
        """Points asked for: from neutral toward the labels' points by their strengths.

        Raises:
            UserError: a label is not known; the message lists those that are.
        """
        return self.from_weights(self.weights(request, num_frames))

    def from_weights(self, weights: Float32[np.ndarray, "t l"]) -> Float32[np.ndarray, "t 128"]:
        """Points at given strengths of the labels."""
        neutral = self.points[self.labels.index(NEUTRAL)]
        return (neutral + weights @ (self.points - neutral)).astype(np.float32)

    def weights(self, request: EmotionRequest | EmotionMix, num_frames: int) -> Float32[np.ndarray, "t l"]:
        """How strong each label is in each frame; the column of neutral is always 0 (it is where the way starts)."""
        mix = request.mix(num_frames)
        weights = np.zeros((num_frames, len(self.labels)), np.float32)
        for name, strengths in zip(mix.labels, mix.strengths.T, strict=True):
            weights[:, self._column(name)] += strengths
        weights[:, self.labels.index(NEUTRAL)] = 0
        return weights

    def probabilities(self, weights: Float32[np.ndarray, "t l"]) -> Float32[np.ndarray, "t l"]:
        """Strengths as probabilities: what is left over is neutral."""
        found = weights.copy()
        found[:, self.labels.index(NEUTRAL)] = np.clip(1 - weights.sum(axis=1), 0, 1)
        return found

    def _column(self, name: str) -> int:
        known = spelled(name, self.labels)
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
    return EmotionSpace(
        labels=tuple(labels),
        points=np.stack(points).astype(np.float32),
        shown=shown_labels(request, used, labels),
    )


def shown_labels(request: EmotionRequest, used: Sequence[int], labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that fill at least a second of the frames that may be looked at."""
    names, strengths = list(request.labels), np.atleast_1d(np.asarray(request.intensity, np.float32))
    counts: dict[str, int] = {}
    for i in used:
        name = spelled(names[i], labels)
        if name == NEUTRAL or strengths[i] > 0:
            counts[name] = counts.get(name, 0) + 1
    return tuple(name for name in labels if counts.get(name, 0) >= LEAST_SHOWN_FRAMES)
