"""Learning how emotions move faces from labelled clips, and how well that names the emotion of a person left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from ua3dtalk.core.provenance import software
from ua3dtalk.priors.visual_emotion import SYNTHETIC, WINDOW_FRAMES, FaceEmotions
from ua3dtalk.subject.labels import NEUTRAL

SHRINKAGE = 0.4
"""Of correlations towards none: there are few people."""


@dataclass(frozen=True)
class Clip:
    """One person in one emotion."""

    person: str
    """Name; clips of one person share it."""
    label: str
    """``neutral`` or an emotion."""
    signals: Float[np.ndarray, "t 16"]
    """``face_signals`` at 25 frames per second."""


def fit_face_emotions(clips: Sequence[Clip], facts: dict[str, object] | None = None) -> FaceEmotions:
    """Means and covariances of ``FaceEmotions``.

    A person's shift is taken from the own neutral face where that was seen, else from the average one. The synthetic
    actor's neutral face does not count as a person's anatomy.
    """
    by_person: dict[tuple[str, str], np.ndarray] = {}
    for person, label in {(clip.person, clip.label) for clip in clips}:
        parts = [c.signals for c in clips if (c.person, c.label) == (person, label)]
        by_person[label, person] = np.concatenate(parts).mean(0)
    real = [mean for (label, who), mean in sorted(by_person.items()) if label == NEUTRAL and who != SYNTHETIC]
    neutral = np.mean(real, axis=0)
    windows = [_windows(clip.signals) for clip in clips]
    within = [np.cov(part, rowvar=False) for part in windows if len(part) > 3]
    examples = sorted(key for key in by_person if key[0] != NEUTRAL)
    return FaceEmotions(
        labels=tuple(label for label, _ in examples),
        people=tuple(who for _, who in examples),
        shifts=np.stack([by_person[key] - by_person.get((NEUTRAL, key[1]), neutral) for key in examples]),
        neutral=neutral,
        anatomy=_shrunk(np.cov(np.stack(real), rowvar=False)),
        speech=_shrunk(np.mean(within, axis=0)),
        facts={**(facts or {}), "people_neutral": len(real), "software": software()},
    )


def leave_one_person_out(clips: Sequence[Clip]) -> dict[str, dict[str, float]]:
    """How often frames of each person are given their label by a model that never saw this person.

    Returns:
        Label to person to share of frames. Clips of one person are read one by one, except the synthetic actor's, which
        are one video.
    """
    found: dict[str, dict[str, list[float]]] = {}
    known = fit_face_emotions(clips).readable
    for person in sorted({clip.person for clip in clips}):
        model = fit_face_emotions([clip for clip in clips if clip.person != person])
        mine = [clip for clip in clips if clip.person == person]
        videos = [mine] if person == SYNTHETIC else [[clip] for clip in mine]
        for video in videos:
            named = model.read(np.concatenate([clip.signals for clip in video]), known).named()
            start = 0
            for clip in video:
                right = float(np.mean([name == clip.label for name in named[start : start + len(clip.signals)]]))
                found.setdefault(clip.label, {}).setdefault(person, []).append(right)
                start += len(clip.signals)
    return {label: {who: round(float(np.mean(v)), 3) for who, v in people.items()} for label, people in found.items()}


def unweighted_recall(shares: dict[str, dict[str, float]], labels: Sequence[str]) -> float:
    """Mean over labels of the mean over people."""
    return float(np.mean([np.mean(list(shares[label].values())) for label in labels]))


def _windows(signals: np.ndarray) -> np.ndarray:
    """Means of half-overlapping windows of a second."""
    starts = range(0, max(1, len(signals) - WINDOW_FRAMES + 1), WINDOW_FRAMES // 2)
    return np.stack([signals[i : i + WINDOW_FRAMES].mean(0) for i in starts])


def _shrunk(covariance: Float[np.ndarray, "d d"]) -> Float64[np.ndarray, "d d"]:
    keep = np.full_like(covariance, 1 - SHRINKAGE)
    np.fill_diagonal(keep, 1.0)
    return covariance * keep
