"""How strongly a labelled emotion is shown frame by frame where the user did not say; and the neutral face of somebody
who never shows it. The paper has nothing of the kind: its data come with both. T frames, L labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.ndimage import uniform_filter1d

from ua3dtalk.core.sequence import pieces
from ua3dtalk.priors.emotion_space import LEAST_SHOWN_FRAMES, WORDS, span_request
from ua3dtalk.priors.features import EmotionRequest
from ua3dtalk.priors.visual_emotion import EVIDENCE, STILL_UNKNOWN, FaceEmotions
from ua3dtalk.subject.labels import NEUTRAL, EmotionSpan

WINDOW_FRAMES = 15
"""Signals are averaged over this many frames, three syllables: speech is no emotion."""
FULL = 0.9
"""A label's full strength is this quantile of its frames."""


@dataclass(frozen=True)
class ShownEmotion:
    """What a subject's labels say once its face has been looked at."""

    request: EmotionRequest
    """Label and strength of every frame."""
    neutral: Float64[np.ndarray, " 16"] | None
    """Signals of the neutral face where no frame shows it, an estimate; None where some do."""


def look_at_labels(
    spans: Sequence[EmotionSpan],
    signals: Float[np.ndarray, "t 16"],
    used: Sequence[int],
    emotions: FaceEmotions,
    joints: Sequence[int] = (),
) -> ShownEmotion:
    """The strength of every frame of the spans that ``varies``; others stay as the user gave them.

    A frame's strength is how far its face is on the way from the neutral face to the mean face of its label, as speech
    lets it be seen (the best share under the covariance of others' speech); 1 is the label's upper decile. Held-out
    frames are not looked at: they get the median of their label. A label that the face hardly shows stays at 1.

    Args:
        spans: The subject's labels.
        signals: ``face_signals`` of T frames, 25 per second.
        used: Frames that may be looked at.
        emotions: How faces and emotions differ between people.
        joints: First frame of each of several videos but the first: nothing is averaged across.
    """
    given = span_request(spans, len(signals))
    names = np.array([WORDS.get(name, name) for name in given.labels])
    strengths = np.array(given.intensity, np.float32)
    seen = np.zeros(len(signals), bool)
    seen[np.asarray(used, np.int64)] = True
    calm = seen & ((names == NEUTRAL) | (strengths == 0))
    known = int(calm.sum()) >= LEAST_SHOWN_FRAMES
    felt = {str(name): signals[seen & ~calm & (names == name)] for name in sorted(set(names[seen & ~calm]))}
    if not felt:
        return ShownEmotion(given, None)
    means = {name: faces.mean(axis=0) for name, faces in felt.items()}
    neutral = signals[calm].mean(axis=0) if known else likely_neutral(np.stack(list(means.values())), emotions)
    smooth = np.concatenate(
        [uniform_filter1d(signals[v], WINDOW_FRAMES, axis=0, mode="nearest") for v in _videos(len(signals), joints)]
    )
    noise = emotions.speech + STILL_UNKNOWN * emotions.anatomy
    varies = _varying(spans, len(signals))
    for name, mean in means.items():
        mine = varies & (names == name)
        if (mine & seen).any():
            strengths[mine] *= _shares(smooth[mine] - neutral, mean - neutral, noise, seen[mine])
    return ShownEmotion(EmotionRequest(list(given.labels), strengths), None if known else neutral)


def likely_neutral(means: Float64[np.ndarray, "l 16"], emotions: FaceEmotions) -> Float64[np.ndarray, " 16"]:
    """The neutral face of a person of whom only emotions are known: the maximum a posteriori of a Gaussian model.

    The mean over L emotions is the average person's neutral face, plus anatomy, plus the mean of L emotions' shifts.
    Where emotions move a signal more than people differ in it, the average person counts, else this one.
    """
    shifts = emotions.shifts.T @ emotions.shifts / len(emotions.shifts)
    away = means.mean(axis=0) - emotions.neutral
    return emotions.neutral + emotions.anatomy @ np.linalg.solve(emotions.anatomy + shifts / len(means), away)


def _shares(away: np.ndarray, goal: np.ndarray, noise: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Shares 0..1 of the way to ``goal``; the median where not ``seen``."""
    precise = np.linalg.solve(noise, goal)
    along = away @ precise
    full = float(np.quantile(along[seen], FULL))
    if goal @ precise < 2 * EVIDENCE or full <= 0:
        return np.ones(len(away))
    share = np.clip(along / full, 0, 1)
    return np.where(seen, share, np.median(share[seen]))


def _varying(spans: Sequence[EmotionSpan], num_frames: int, fps: float = 25.0) -> np.ndarray:
    """Frames whose strength the user did not give."""
    found = np.zeros(num_frames, bool)
    for span in spans:
        found[max(0, round(span.start_s * fps)) : max(0, round(span.end_s * fps))] = span.varies
    return found


def _videos(num_frames: int, joints: Sequence[int]) -> list[slice]:
    return [slice(video.start, video.stop) for video in pieces(num_frames, joints)]
