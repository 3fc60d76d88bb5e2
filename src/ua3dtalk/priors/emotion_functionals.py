"""Functionals: statistics of pitch, voice quality, spectrum and rhythm over a window, none of the level (DESIGN §6).

They are the teacher's fourth level. Everything is computed from speech features, so that windows of a long recording
and training utterances go the same way.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.fft import dct
from scipy.ndimage import median_filter

from ua3dtalk.core.sequence import stretches
from ua3dtalk.priors.emotion_tracks import ACTIVE_NATS, BAND_HZ, spectral_tracks
from ua3dtalk.subject.speech_data import NUM_MEL, VOICE_NAMES

NUM_FUNCTIONALS = 620
VOICED = 0.65
"""Periodicity of voiced frames."""
PITCH_SPAN = 14.0
"""Semitones from the median beyond which a pitch is taken for an octave error."""
RATE_HZ = 100.0
MIN_VOICED = 5
CEPSTRA = 20
GROUPS = 26
MODULATION_HZ = (0.8, 2.0, 3.5, 5.5, 8.0, 12.0, 20.0, 35.0)
QUANTILES = (0.05, 0.2, 0.5, 0.8, 0.95)


def functionals(
    mel: Float[np.ndarray, "a 80"], voice: Float[np.ndarray, "a 9"], phones: Float[np.ndarray, "a 42"]
) -> Float32[np.ndarray, " 620"]:
    """All functionals of one window (100 Hz, 0.3 s or more); finite whatever the sound is."""
    mel = mel.astype(np.float64)
    level = mel.mean(axis=1)
    active = level > level.max() - ACTIVE_NATS
    mel = np.maximum(mel - level[active].mean(), -10.0)
    level = mel.mean(axis=1)
    pitch, voiced = _clean_pitch(voice, active)
    spectral = spectral_tracks(mel)
    cepstra = np.asarray(dct(mel, axis=1, norm="ortho"))[:, 1:CEPSTRA]
    quality = voice[:, 1:].astype(np.float64)
    parts = [
        _spread(np.concatenate([spectral, cepstra[:, :12]], axis=1)[active]),
        _moments(cepstra[:, 12:][active]),
        _moments(np.concatenate([spectral, cepstra[:, :13]], axis=1)[voiced]),
        _spread(quality[voiced]),
        _moments(quality[active][:, [0, 4]]),
        _deltas(np.concatenate([spectral, cepstra], axis=1)),
        _deltas(quality[voiced]),
        _melody(pitch, voiced, active, level),
        _envelope(level, active),
        _spectrum(mel, active),
        _modulation(mel),
        _articulation(phones, active),
    ]
    return np.nan_to_num(np.concatenate([np.ravel(part) for part in parts])).astype(np.float32)


def _clean_pitch(
    voice: Float[np.ndarray, "a 9"], active: Bool[np.ndarray, " a"]
) -> tuple[Float[np.ndarray, " a"], Bool[np.ndarray, " a"]]:
    """Pitch in semitones and where it is voiced."""
    pitch = voice[:, VOICE_NAMES.index("pitch")].astype(np.float64)
    voiced = active & (voice[:, VOICE_NAMES.index("periodicity")] > VOICED)
    voiced = median_filter(voiced.astype(np.uint8), 5, mode="nearest").astype(bool) & active
    if voiced.sum() > MIN_VOICED:
        voiced &= np.abs(pitch - np.median(pitch[voiced])) < PITCH_SPAN
    return pitch, voiced


def _spread(x: Float[np.ndarray, "n c"]) -> Float[np.ndarray, ...]:
    """Mean, deviation, skewness, range and quantiles of each column; zeros of fewer than five frames."""
    if len(x) < MIN_VOICED:
        return np.zeros((4 + len(QUANTILES), x.shape[1]))
    mean, std = x.mean(axis=0), x.std(axis=0)
    skew = ((x - mean) ** 3).mean(axis=0) / (std**3 + 1e-6)
    ordered = np.sort(x, axis=0)
    at = np.array(QUANTILES) * (len(x) - 1)
    low = at.astype(int)
    high = np.minimum(low + 1, len(x) - 1)
    quantiles = ordered[low] + (at - low)[:, None] * (ordered[high] - ordered[low])
    return np.concatenate([[mean, std, skew, quantiles[3] - quantiles[1]], quantiles])


def _moments(x: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "2 c"]:
    if len(x) < MIN_VOICED:
        return np.zeros((2, x.shape[1]))
    return np.stack([x.mean(axis=0), x.std(axis=0)])


def _deltas(x: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "2 c"]:
    """How fast columns move: mean and deviation of steps' size."""
    return _moments(np.abs(np.diff(x, axis=0)))


def _slope(y: Float[np.ndarray, " n"], t: Float[np.ndarray, " n"]) -> float:
    """Of the regression line, per second."""
    t = t - t.mean()
    return float((t * y).sum() / max(float((t * t).sum()), 1e-9))


def _melody(
    pitch: Float[np.ndarray, " a"],
    voiced: Bool[np.ndarray, " a"],
    active: Bool[np.ndarray, " a"],
    level: Float[np.ndarray, " a"],
) -> Float[np.ndarray, " k"]:
    """Pitch, its slopes, jitter and shimmer, voiced stretches."""
    seconds = np.arange(len(pitch)) / RATE_HZ
    heard = pitch[voiced]
    runs = stretches(voiced, 6)
    slopes = np.array([_slope(pitch[a:b], seconds[a:b]) for a, b in runs] or [0.0])
    spans = np.array([np.ptp(pitch[a:b]) for a, b in runs] or [0.0])
    lengths = np.array([(b - a) / RATE_HZ for a, b in runs] or [0.0])
    pair = voiced[1:] & voiced[:-1]
    jitter = np.abs(np.diff(pitch))[pair] if pair.any() else np.zeros(1)
    bend = np.abs(np.diff(pitch, 2))[pair[1:] & pair[:-1]] if (pair[1:] & pair[:-1]).any() else np.zeros(1)
    shimmer = np.abs(np.diff(level))[pair] if pair.any() else np.zeros(1)
    together, loud = 0.0, 0.0
    if len(heard) > 2 * MIN_VOICED:
        away, strong = heard - heard.mean(), level[voiced] - level[voiced].mean()
        together = float((away * strong).mean() / (away.std() * strong.std() + 1e-6))
        loud = float(heard[strong > 0].mean() - heard[strong <= 0].mean()) if (strong > 0).any() else 0.0
    return np.concatenate([
        np.ravel(_spread(heard[:, None])),
        [slopes.mean(), slopes.std(), slopes.max(), slopes.min(), np.abs(slopes).mean()],
        [spans.mean(), spans.max(), lengths.mean(), lengths.std(), len(runs) / (len(pitch) / RATE_HZ)],
        [_slope(heard, seconds[voiced]) if len(heard) > 2 * MIN_VOICED else 0.0],
        [jitter.mean(), np.median(jitter), bend.mean(), np.median(bend), shimmer.mean(), np.median(shimmer)],
        [together, loud, float(voiced[active].mean())],
    ])  # fmt: skip


def _envelope(level: Float[np.ndarray, " a"], active: Bool[np.ndarray, " a"]) -> Float[np.ndarray, " k"]:
    """Syllables, pauses, rises and falls of the level."""
    kernel = np.hanning(11)[1:-1]
    smooth = np.convolve(np.pad(level, 4, mode="edge"), kernel / kernel.sum(), "valid")
    step = np.diff(smooth)
    up, down = step[step > 0], step[step < 0]
    inner = smooth[1:-1]
    peaks = np.flatnonzero((inner > smooth[:-2]) & (inner >= smooth[2:]) & active[1:-1])
    depth = [smooth[max(0, p - 11) : p + 13].max() - smooth[max(0, p - 11) : p + 13].min() for p in peaks]
    gaps = np.diff(peaks) / RATE_HZ if len(peaks) > 2 else np.zeros(1)
    pauses = stretches(~active, 8)
    length = len(level) / RATE_HZ
    return np.array([
        active.mean(), len(peaks) / length, len(pauses) / length, sum(b - a for a, b in pauses) / len(level),
        float(np.mean(depth)) if depth else 0.0, float(gaps.mean()), float(gaps.std()),
        up.mean() if len(up) else 0.0, down.mean() if len(down) else 0.0, np.abs(step).std() if len(step) else 0.0,
        up.max() if len(up) else 0.0, _slope(level[active], np.flatnonzero(active) / RATE_HZ),
    ])  # fmt: skip


def _spectrum(mel: Float[np.ndarray, "a 80"], active: Bool[np.ndarray, " a"]) -> Float[np.ndarray, "3 26"]:
    """Mean, deviation and inner range of 26 coarse bands."""
    edges = np.linspace(0, NUM_MEL, GROUPS + 1).round().astype(int)
    bands = np.stack([mel[:, a:b].mean(axis=1) for a, b in pairwise(edges)], axis=1)[active]
    ordered = np.sort(bands, axis=0)
    last = len(bands) - 1
    return np.stack([bands.mean(axis=0), bands.std(axis=0), ordered[round(0.9 * last)] - ordered[round(0.1 * last)]])


def _modulation(mel: Float[np.ndarray, "a 80"]) -> Float[np.ndarray, " 35"]:
    """Logarithm of the power of five envelopes in seven bands of modulation frequency."""
    splits = np.searchsorted(BAND_HZ, (500, 1000, 2000, 4000))
    envelopes = [part.mean(axis=1) for part in np.split(mel, splits, axis=1)]
    count = min(len(mel), 512)
    centred = np.stack([e[:count] - e[:count].mean() for e in envelopes], axis=1) * np.hanning(count)[:, None]
    power = np.abs(np.fft.rfft(centred, 512, axis=0)) ** 2 / count
    hz = np.fft.rfftfreq(512, 1 / RATE_HZ)
    edges = np.searchsorted(hz, MODULATION_HZ)
    return np.log(np.stack([power[a:b].mean(axis=0) for a, b in pairwise(edges)]) + 1e-6).ravel()


def _articulation(phones: Float[np.ndarray, "a 42"], active: Bool[np.ndarray, " a"]) -> Float[np.ndarray, " 6"]:
    """How clear and how fast phones are."""
    phones = phones.astype(np.float64)
    entropy = -(phones * np.log(phones + 1e-6)).sum(axis=1)
    change = 0.5 * np.abs(np.diff(phones, axis=0)).sum(axis=1)
    best = phones.max(axis=1)
    return np.array([
        entropy[active].mean(), entropy[active].std(), change.mean() * RATE_HZ, change.std(),
        best[active].mean(), float((np.diff(phones.argmax(axis=1)) != 0).mean()),
    ])  # fmt: skip
