"""Emotion accuracy by a classifier that is not the teacher: it sees faces only, and never heard a sound.

The teacher of the emotion stream listens; a score by the same teacher would be circular. This one is fitted to the
real face in the subject's own labelled training frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from ua3dtalk.evaluation.expression_features import expression_vector
from ua3dtalk.evaluation.measure import Definition, Measure, Moment

ACCURACY = Definition(
    key="emotion_accuracy",
    title="emotion named right, by the face",
    unit="share of frames",
    ideal="real",
    meaning="Share of the labelled scored frames whose label a linear discriminant over expression numbers names. It "
    "was fitted to the real face in the training frames that carry labels, not to any sound; the real row is its "
    "ceiling.",
)
SHRINKAGE = 0.1
LEAST_FRAMES = 25
"""A label needs this many training frames."""


@dataclass(frozen=True)
class FaceEmotionClassifier:
    """Linear discriminant with a shared, shrunk covariance."""

    labels: tuple[str, ...]
    """Classes."""
    weights: Float64[np.ndarray, "c d"]
    """Per class."""
    biases: Float64[np.ndarray, " c"]
    """Per class; all labels are equally likely beforehand."""

    @staticmethod
    def fit(vectors: Float[np.ndarray, "n d"], labels: Sequence[str]) -> FaceEmotionClassifier | None:
        """Fit to expression vectors.

        Args:
            vectors: One per frame.
            labels: One per frame.

        Returns:
            The classifier; None where fewer than two labels have ``LEAST_FRAMES``.
        """
        names = np.array(labels)
        known = [name for name in sorted(set(labels)) if (names == name).sum() >= LEAST_FRAMES]
        if len(known) < 2:
            return None
        groups = [vectors[names == name].astype(np.float64) for name in known]
        means = np.stack([group.mean(0) for group in groups])
        within = np.mean([np.cov(group, rowvar=False, ddof=0) for group in groups], axis=0)
        scale = float(np.trace(within)) / len(within)
        shrunk = (1 - SHRINKAGE) * within + (SHRINKAGE * scale + 1e-12) * np.eye(len(within))
        weights = np.linalg.solve(shrunk, means.T).T
        return FaceEmotionClassifier(tuple(known), weights, -0.5 * (weights * means).sum(1))

    def predict(self, vector: Float[np.ndarray, " d"]) -> str:
        """The likeliest label of one frame."""
        return self.labels[int(np.argmax(self.weights @ vector + self.biases))]


class FaceEmotionMeter:
    """Accuracy over the frames whose label the classifier knows.

    Args:
        classifier: Fitted to the subject's training frames.
        labels: Intended label of every scored frame; None where there is none.
    """

    definitions = (ACCURACY,)

    def __init__(self, classifier: FaceEmotionClassifier, labels: Sequence[str | None]) -> None:
        self._classifier, self._labels = classifier, labels
        self._right: dict[str, list[bool]] = {}

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        label = self._labels[moment.position]
        if label in self._classifier.labels and moment.points is not None:
            named = self._classifier.predict(expression_vector(moment.points))
            self._right.setdefault(str(label), []).append(named == label)

    def results(self) -> dict[str, Measure]:
        """Share of right frames; the details have it by label."""
        every = [right for group in self._right.values() for right in group]
        by_label = {label: round(float(np.mean(group)), 4) for label, group in sorted(self._right.items())}
        details = {"frames": len(every), "labels_fitted": list(self._classifier.labels), "by_label": by_label}
        if not every:
            why = "the scored frames carry no label that the training frames have too"
            return {ACCURACY.key: Measure(value=None, unavailable=why, details=details)}
        return {ACCURACY.key: Measure(value=float(np.mean(every)), details=details)}
