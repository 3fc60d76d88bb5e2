"""Made-up speakers, whose content stream is what the content prior really makes of their phones."""

from __future__ import annotations

from functools import cache

import numpy as np

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.subject.speech_data import SpeechFeatures

PRIOR = ContentPrior.load()


def smooth(rng: np.random.Generator, t: int, width: int, frames: float) -> np.ndarray:
    """Slow Gaussian noise of unit variance."""
    kernel = np.exp(-0.5 * (np.arange(-3 * frames, 3 * frames + 1) / frames) ** 2)
    raw = rng.normal(size=(t + len(kernel) - 1, width))
    return np.stack([np.convolve(raw[:, k], kernel, "valid") for k in range(width)], 1) / np.linalg.norm(kernel)


@cache
def speaker(seed: int, t: int = 1500, voice: int = 0) -> ConditionTrack:
    """Phones that a hidden curve drives; content as it is heard, a mouth that follows, a voice in the emotion."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    hidden = smooth(rng, 4 * t, 4, 8.0)
    logits = 3 * hidden @ fixed.normal(size=(4, 42)) + 0.3 * rng.normal(size=(4 * t, 42))
    phones = np.exp(logits - logits.max(1, keepdims=True))
    phones = (phones / phones.sum(1, keepdims=True)).astype(np.float32)
    loud = np.repeat(smooth(rng, 4 * t, 1, 10.0), 80, axis=1).astype(np.float32)
    speech = SpeechFeatures(phones, loud, np.zeros((4 * t, 9), np.float32), encoder=PRIOR.encoder)
    content = PRIOR.features(speech, voice_activity(speech, t))
    lower = content[:, 27:36] @ fixed.normal(size=(9, 13)) + 0.3 * smooth(rng, t, 13, 2.0)
    ways = np.random.default_rng(1000 + voice).normal(size=(3, 128))
    emotion = smooth(rng, t, 3, 20.0) @ ways + 0.05 * smooth(rng, t, 128, 10.0)
    return ConditionTrack.from_arrays(
        audio=speech.windows(t),
        upper=np.zeros((t, 6), np.float32),
        lower=(lower / lower.std(0)).astype(np.float32),
        content=content,
        style=np.zeros((t, 64), np.float32),
        emotion=emotion.astype(np.float32),
        present=np.tile(np.array([1, 1, 0, 1], np.float32), (t, 1)),
    )
