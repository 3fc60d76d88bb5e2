"""The phones and the loudness around each video frame, as a design matrix for ridge regression."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.priors.phone_posteriors import silence_columns
from ua3dtalk.subject.speech_data import NUM_PHONES, SpeechFeatures, sample_at, smooth_20ms

REACH_S = 0.2
STEP_S = 0.02
STEPS = round(2 * REACH_S / STEP_S) + 1
LOUDNESS_REACH_S = 0.28
LOUDNESS_STEP_S = 0.04
LOUDNESS_STEPS = round(2 * LOUDNESS_REACH_S / LOUDNESS_STEP_S) + 1
CONTEXT_SIZE = STEPS * NUM_PHONES + LOUDNESS_STEPS + 1
TEMPER = 0.3
LOUDNESS_FLOOR = -6.0
BLOCK = 1000


def phone_context(speech: SpeechFeatures, times_s: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n 898"]:
    """Phones from 200 ms before to 200 ms after each time (steps of 20 ms), loudness (±280 ms, 40 ms), a constant 1.

    Phones are roots of tempered posteriors: a doubtful phone still says something (on unseen people r(width) .52 to
    .54). Loudness is the log of power over its mean in speech, so that the level of a recording does not matter; it
    says how far the mouth opens (r(opening) .46 to .51). Of joined recordings, each is looked at by itself.
    """
    if speech.joints:
        context = np.zeros((len(times_s), CONTEXT_SIZE), np.float32)
        for one, rows, own_s in _by_recording(speech, times_s):
            context[rows] = phone_context(one, own_s)
        return context
    return _context(_tempered(speech), _loudness(speech), speech.rate_hz, times_s)


def apply_to_context(
    speech: SpeechFeatures, times_s: Float[np.ndarray, " n"], weights: Float32[np.ndarray, "898 o"]
) -> Float32[np.ndarray, "n o"]:
    """``phone_context(...) @ weights`` in blocks, so that little memory is needed for long sound."""
    if speech.joints:
        out = np.zeros((len(times_s), weights.shape[1]), np.float32)
        for one, rows, own_s in _by_recording(speech, times_s):
            out[rows] = apply_to_context(one, own_s, weights)
        return out
    phones, loudness = _tempered(speech), _loudness(speech)
    blocks = [_context(phones, loudness, speech.rate_hz, times_s[i]) @ weights for i in _blocks(len(times_s))]
    return np.concatenate(blocks) if blocks else np.zeros((0, weights.shape[1]), np.float32)


def _by_recording(
    speech: SpeechFeatures, times_s: np.ndarray
) -> Iterator[tuple[SpeechFeatures, np.ndarray, np.ndarray]]:
    """Each recording, which of the times lie in it, and these from its own start, seconds."""
    borders_s = np.array(speech.joints) / speech.rate_hz
    inside = np.searchsorted(borders_s, times_s + 1e-6, side="right")
    for k, (one, _) in enumerate(speech.recordings(speech.num_audio_frames, speech.rate_hz)):
        rows = np.flatnonzero(inside == k)
        yield one, rows, times_s[rows] - (borders_s[k - 1] if k else 0.0)


def _context(phones: np.ndarray, loudness: np.ndarray, rate_hz: float, times_s: np.ndarray) -> np.ndarray:
    around = np.linspace(-REACH_S, REACH_S, STEPS)
    wide = np.linspace(-LOUDNESS_REACH_S, LOUDNESS_REACH_S, LOUDNESS_STEPS)
    count = len(times_s)
    near = sample_at(phones, (times_s[:, None] + around).ravel() * rate_hz).reshape(count, -1)
    loud = sample_at(loudness, (times_s[:, None] + wide).ravel() * rate_hz).reshape(count, -1)
    return np.concatenate([near, loud, np.ones((count, 1), np.float32)], axis=1)


def _tempered(speech: SpeechFeatures) -> Float32[np.ndarray, "a 42"]:
    flat = np.maximum(smooth_20ms(speech.phones), 1e-12) ** TEMPER
    return np.sqrt(flat / flat.sum(axis=1, keepdims=True)).astype(np.float32)


def _loudness(speech: SpeechFeatures) -> Float32[np.ndarray, "a 1"]:
    """Mean over mel bands of the log power over the band's mean in speech, none below −6; smoothed over 20 ms."""
    spoken = 1 - speech.phones[:, list(silence_columns())].sum(axis=1) + 1e-3
    typical = np.average(speech.mel, axis=0, weights=spoken)
    over = np.maximum(speech.mel - typical, LOUDNESS_FLOOR).mean(axis=1, keepdims=True)
    return smooth_20ms(over).astype(np.float32)


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, start + BLOCK)
