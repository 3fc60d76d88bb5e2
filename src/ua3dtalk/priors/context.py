"""The window of phones around each video frame, as a design matrix for ridge regression."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.subject.speech_data import NUM_PHONES, SpeechFeatures, sample_at, smooth_20ms

REACH_S = 0.28
STEP_S = 0.02
STEPS = round(2 * REACH_S / STEP_S) + 1
CONTEXT_SIZE = STEPS * NUM_PHONES + 1
BLOCK = 1000


def phone_context(speech: SpeechFeatures, times_s: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n 1219"]:
    """Roots of phone posteriors from 280 ms before to 280 ms after each time, in steps of 20 ms, and a constant 1.

    Roots, as a doubtful phone still says something; on unseen speakers they gain .03 in r(width) over posteriors.
    """
    offsets_s = np.linspace(-REACH_S, REACH_S, STEPS)
    index = (times_s[:, None] + offsets_s).ravel() * speech.rate_hz
    sampled = sample_at(np.sqrt(smooth_20ms(speech.phones)), index)
    return np.concatenate([sampled.reshape(len(times_s), -1), np.ones((len(times_s), 1), np.float32)], axis=1)


def apply_to_context(
    speech: SpeechFeatures, times_s: Float[np.ndarray, " n"], weights: Float32[np.ndarray, "1219 o"]
) -> Float32[np.ndarray, "n o"]:
    """``phone_context(...) @ weights`` in blocks, so that memory does not grow with the length of the sound."""
    blocks = [phone_context(speech, times_s[i]) @ weights for i in _blocks(len(times_s))]
    return np.concatenate(blocks) if blocks else np.zeros((0, weights.shape[1]), np.float32)


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, start + BLOCK)
