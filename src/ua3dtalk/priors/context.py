"""The phones and the loudness around each video frame, as a design matrix for ridge regression; of an encoder with a
speech model also its hidden states. P values of their projection, C columns in all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int

from ua3dtalk.priors.phone_posteriors import silence_columns
from ua3dtalk.subject.speech_data import NUM_PHONES, SpeechFeatures, sample_at, smooth_20ms

REACH_S = 0.2
STEP_S = 0.02
STEPS = round(2 * REACH_S / STEP_S) + 1
LOUDNESS_REACH_S = 0.28
LOUDNESS_STEP_S = 0.04
LOUDNESS_STEPS = round(2 * LOUDNESS_REACH_S / LOUDNESS_STEP_S) + 1
CONTEXT_SIZE = STEPS * NUM_PHONES + LOUDNESS_STEPS + 1
"""C of the default encoder; see ``context_size``."""
MAX_PROJECTED = 64
EVEN = 1e-2
"""Share of a typical variance that is added to each direction's: what hardly varies is not blown up."""
TEMPER = 0.3
LOUDNESS_FLOOR = -6.0
BLOCK = 1000


def context_size(projection: Float32[np.ndarray, "h1 p"] | None = None) -> int:
    """C: with a projection of hidden states, these stand beside the phones."""
    return CONTEXT_SIZE + (0 if projection is None else STEPS * projection.shape[1])


def phone_rows(projection: Float32[np.ndarray, "h1 p"]) -> Int[np.ndarray, " c"]:
    """Which columns of a context with projected hidden states are those of a context without: C = CONTEXT_SIZE."""
    steps = np.arange(STEPS * (NUM_PHONES + projection.shape[1])).reshape(STEPS, -1)
    others = np.arange(CONTEXT_SIZE - STEPS * NUM_PHONES) + steps.size
    return np.concatenate([steps[:, :NUM_PHONES].ravel(), others])


def fit_projection(recordings: Sequence[SpeechFeatures]) -> Float32[np.ndarray, "h1 p"] | None:
    """Principal components of the hidden states of many recordings, as one affine map; its last row is the constant.

    Every value has the mean square 1 / P, as each of the 42 phones has 1 / 42: one ridge penalty suits both.

    Args:
        recordings: Of one encoder.

    Returns:
        P = min(64, H) columns; None where there are no hidden states.
    """
    if recordings[0].hidden is None:
        return None
    size = recordings[0].hidden.shape[1]
    count, total, squares = 0, np.zeros(size), np.zeros((size, size))
    for speech in recordings:
        for block in _blocks(speech.num_audio_frames):
            states = speech.tracks["hidden"][block].astype(np.float64)
            count, total, squares = count + len(states), total + states.sum(axis=0), squares + states.T @ states
    mean = total / count
    covariance = squares / count - np.outer(mean, mean)
    std = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    variances, directions = np.linalg.eigh(covariance / np.outer(std, std))
    kept = slice(None, -1 - min(MAX_PROJECTED, size), -1)
    scale = 1 / np.sqrt((variances[kept].clip(0) + EVEN) * min(MAX_PROJECTED, size))
    turn = directions[:, kept] * scale / std[:, None]
    return np.concatenate([turn, -mean[None] @ turn]).astype(np.float32)


def phone_context(
    speech: SpeechFeatures, times_s: Float[np.ndarray, " n"], projection: Float32[np.ndarray, "h1 p"] | None = None
) -> Float32[np.ndarray, "n c"]:
    """Phones from 200 ms before to 200 ms after each time (steps of 20 ms), loudness (±280 ms, 40 ms), a constant 1.

    Phones are roots of tempered posteriors: a doubtful phone still says something (on unseen people r(width) .52 to
    .54). Loudness is the log of power over its mean in speech, so that the level of a recording does not matter; it
    says how far the mouth opens (r(opening) .46 to .51). Of joined recordings, each is looked at by itself.

    Args:
        speech: Phones and mel; with a projection also hidden states.
        times_s: Where to look.
        projection: From ``fit_projection``: projected hidden states stand beside the phones at every step.
    """
    if speech.joints:
        context = np.zeros((len(times_s), context_size(projection)), np.float32)
        for one, rows, own_s in _by_recording(speech, times_s):
            context[rows] = phone_context(one, own_s, projection)
        return context
    return _context(_sounds(speech, projection), _loudness(speech), speech.rate_hz, times_s)


def apply_to_context(
    speech: SpeechFeatures,
    times_s: Float[np.ndarray, " n"],
    weights: Float32[np.ndarray, "c o"],
    projection: Float32[np.ndarray, "h1 p"] | None = None,
) -> Float32[np.ndarray, "n o"]:
    """``phone_context(...) @ weights`` in blocks, so that little memory is needed for long sound."""
    if speech.joints:
        out = np.zeros((len(times_s), weights.shape[1]), np.float32)
        for one, rows, own_s in _by_recording(speech, times_s):
            out[rows] = apply_to_context(one, own_s, weights, projection)
        return out
    sounds, loudness = _sounds(speech, projection), _loudness(speech)
    blocks = [_context(sounds, loudness, speech.rate_hz, times_s[i]) @ weights for i in _blocks(len(times_s))]
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


def _context(sounds: np.ndarray, loudness: np.ndarray, rate_hz: float, times_s: np.ndarray) -> np.ndarray:
    around = np.linspace(-REACH_S, REACH_S, STEPS)
    wide = np.linspace(-LOUDNESS_REACH_S, LOUDNESS_REACH_S, LOUDNESS_STEPS)
    count = len(times_s)
    near = sample_at(sounds, (times_s[:, None] + around).ravel() * rate_hz).reshape(count, -1)
    loud = sample_at(loudness, (times_s[:, None] + wide).ravel() * rate_hz).reshape(count, -1)
    return np.concatenate([near, loud, np.ones((count, 1), np.float32)], axis=1)


def _sounds(speech: SpeechFeatures, projection: np.ndarray | None) -> Float32[np.ndarray, "a s"]:
    """Tempered phones, and beside them the projected hidden states if asked for."""
    if projection is None:
        return _tempered(speech)
    states = speech.tracks["hidden"]
    projected = [states[block] @ projection[:-1] + projection[-1] for block in _blocks(len(states))]
    return np.concatenate([_tempered(speech), np.concatenate(projected)], axis=1)


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
