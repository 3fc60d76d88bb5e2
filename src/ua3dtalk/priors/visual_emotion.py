"""How emotions move faces, learnt from a few people: reads emotion from a driving video, lends it to other faces.

One small Gaussian model serves both. A face is the average neutral face, plus the person's anatomy, plus a share of
what one of the people known here did in an emotion, plus the noise of speech (DESIGN §6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.ndimage import uniform_filter1d

from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.features import EmotionMix
from ua3dtalk.subject.face_signals import FACE_SIGNALS
from ua3dtalk.subject.labels import NEUTRAL

KIND = "prior.face_emotion"
SHIPPED = Path(__file__).parent / "data" / "visual_emotion.safetensors"
SYNTHETIC = "synthetic"
"""The embedded actor: its emotions are our own idea of them, so nothing is borrowed from it."""
WINDOW_FRAMES = 25
EVIDENCE = 2.5
"""An emotion must explain a window better than neutral by this much, in nats."""
STILL_UNKNOWN = 0.3
"""Share of the variance of anatomy that is left when it has been estimated."""
LEAST_PEOPLE = 2
"""An emotion that was seen in fewer people is lent on request, but not read from a video."""
_ARRAYS = ("shifts", "neutral", "anatomy", "speech")


@dataclass(frozen=True)
class FaceReading:
    """Emotion read from T frames. L labels."""

    labels: tuple[str, ...]
    """Emotions, without neutral."""
    probabilities: Float64[np.ndarray, "t l"]
    """Of each label; what is missing to 1 is neutral."""
    strengths: Float64[np.ndarray, "t l"]
    """Probability times intensity, 0..1."""

    def only(self, labels: Sequence[str]) -> FaceReading:
        """Some of the labels; what was found of the others counts as neutral."""
        kept = [k for k, name in enumerate(self.labels) if name in labels]
        return FaceReading(tuple(self.labels[k] for k in kept), self.probabilities[:, kept], self.strengths[:, kept])

    def mix(self) -> EmotionMix:
        """As what can be asked of the priors."""
        if not self.labels:
            return EmotionMix((NEUTRAL,), np.zeros((len(self.strengths), 1), np.float32))
        return EmotionMix(self.labels, self.strengths.astype(np.float32).clip(0, 1))

    def named(self) -> list[str]:
        """The likeliest label of each frame."""
        every = np.concatenate([1 - self.probabilities.sum(axis=1, keepdims=True), self.probabilities], axis=1)
        return [(NEUTRAL, *self.labels)[k] for k in every.argmax(axis=1)]


@dataclass(frozen=True, kw_only=True)
class FaceEmotions:
    """K examples (a person in an emotion) of what emotions do to ``FACE_SIGNALS``."""

    labels: tuple[str, ...]
    """Emotion of each example."""
    people: tuple[str, ...]
    """Who showed it."""
    shifts: Float64[np.ndarray, "k 16"]
    """Mean shift of the signals from neutral."""
    neutral: Float64[np.ndarray, " 16"]
    """The average neutral face."""
    anatomy: Float64[np.ndarray, "16 16"]
    """Covariance of neutral faces between people."""
    speech: Float64[np.ndarray, "16 16"]
    """Covariance of one-second means within a person."""
    facts: dict[str, Any]
    """What it was learnt from, and figures; JSON values."""

    @property
    def readable(self) -> tuple[str, ...]:
        """Emotions that can be read from a video: seen in two people or more."""
        return tuple(sorted(name for name in set(self.labels) if len(self.seen_in(name)) >= LEAST_PEOPLE))

    @property
    def lendable(self) -> tuple[str, ...]:
        """Emotions that can be lent to other faces: seen in a real person."""
        return tuple(sorted({k for k, who in zip(self.labels, self.people, strict=True) if who != SYNTHETIC}))

    def seen_in(self, label: str) -> list[str]:
        """Who showed an emotion."""
        return sorted({who for name, who in zip(self.labels, self.people, strict=True) if name == label})

    def mean_shift(self, label: str) -> Float64[np.ndarray, " 16"]:
        """What an emotion does to the signals: the mean over real people, shrunk where it may be their anatomy.

        The shrinkage is a variance ratio for each signal: that of all examples, over that plus the anatomy of the mean.
        """
        real = np.array([who != SYNTHETIC for who in self.people])
        chosen = real & (np.array(self.labels) == label)
        if not chosen.any():
            raise ValueError(f"{label!r} was seen in no real person.")
        noise = np.diag(self.anatomy) / len(set(np.array(self.people)[chosen]))
        signal = np.maximum((self.shifts[real] ** 2).mean(0) - np.diag(self.anatomy), 0.0)
        return self.shifts[chosen].mean(0) * signal / (signal + noise + 1e-12)

    def read(self, signals: Float[np.ndarray, "t 16"], labels: Sequence[str]) -> FaceReading:
        """Emotion in every frame of one person's video.

        Signals are averaged over a second, which takes out most of speech. An example explains a window by its best
        share of 0..1; the gain over neutral is a log likelihood ratio. The person's anatomy is unknown: it is first
        noise, then estimated from the frames that look neutral, if there are any, and taken out in a second pass.

        Args:
            signals: ``face_signals`` of T frames, 25 per second.
            labels: Emotions that compete with each other and with neutral: ``readable`` for a stranger's video.
        """
        picks = [i for i, name in enumerate(self.labels) if name in labels]
        means = uniform_filter1d(signals.astype(np.float64), WINDOW_FRAMES, axis=0, mode="nearest") - self.neutral
        shifts = self.shifts[picks]
        likely, share = _explain(means, shifts, self.anatomy + self.speech)
        calm = 1 - likely.sum(axis=1)
        left_over = calm @ (means - (likely * share) @ shifts) / (calm.sum() + WINDOW_FRAMES / 2)
        own = self.anatomy @ np.linalg.solve(self.anatomy + self.speech, left_over)
        likely, share = _explain(means - own, shifts, self.speech + STILL_UNKNOWN * self.anatomy)
        names = tuple(sorted({self.labels[i] for i in picks}))
        member = np.array([[self.labels[i] == name for name in names] for i in picks], np.float64)  # [k, l]
        return FaceReading(names, likely @ member, (likely * share) @ member)

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        tensors = {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in _ARRAYS}
        header = {"labels": self.labels, "people": self.people, "signals": FACE_SIGNALS, "facts": self.facts}
        save_tensors(path, tensors, kind=KIND, header=header)

    @staticmethod
    def load(path: Path = SHIPPED) -> FaceEmotions:
        """Read what ``save`` wrote; by default what comes with the package.

        Raises:
            UserError: missing, damaged, altered, or of other signals.
        """
        tensors, header = load_tensors(path, kind=KIND)
        if tuple(header.get("signals", ())) != FACE_SIGNALS:
            raise UserError(f"{path} was learnt from other face signals than this version's.", "Train it again.")
        arrays = {name: tensors[name].numpy() for name in _ARRAYS}
        return FaceEmotions(
            labels=tuple(header["labels"]), people=tuple(header["people"]), facts=header["facts"], **arrays
        )


def _explain(
    means: Float64[np.ndarray, "t 16"], shifts: Float64[np.ndarray, "k 16"], covariance: Float64[np.ndarray, "16 16"]
) -> tuple[Float64[np.ndarray, "t k"], Float64[np.ndarray, "t k"]]:
    """Probability of each example (against the others and neutral) and its best share."""
    precise = np.linalg.solve(covariance, shifts.T)  # [16, k]
    along, size = means @ precise, (shifts * precise.T).sum(1)
    share = np.clip(along / size, 0, 1)
    gain = share * along - 0.5 * share**2 * size
    scores = np.concatenate([np.full((len(means), 1), EVIDENCE), gain], axis=1)
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    return likely[:, 1:] / likely.sum(axis=1, keepdims=True), share
