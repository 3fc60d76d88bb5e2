"""Voice tracks at 100 Hz: pitch, periodicity, harmonic tilt and formants; none depends on the level (DESIGN §6).

They are what mel bands blur: the emotion teacher reads them beside mel and phones. Every frame depends only on the
55 ms of sound around it, so that pieces give what the whole gives.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy.fft import irfft, rfft

from ua3dtalk.subject.speech_data import VOICE_NAMES

HOP = 160
SAMPLE_RATE_HZ = 16000
SPAN = 886  # what one frame looks at: the correlation window and the longest lag
CORRELATED = 640
LOW_LAG, HIGH_LAG = 26, 246  # 615 Hz to 65 Hz
DIP = 0.2  # YIN takes the first lag whose normalised difference falls below this
REFERENCE_HZ = 27.5
FFT = 1024
LPC_ORDER = 16
TINY = 1e-9
BLOCK = 200  # frames at a time: larger blocks leave the processor's cache


def voice_tracks(audio: Float32[np.ndarray, " s"], start: int, stop: int) -> Float32[np.ndarray, "a 9"]:
    """Tracks of frames ``start`` to ``stop``; frame ``a`` is centred on sample ``160 a``.

    Args:
        audio: 16 kHz mono, the whole recording.
        start: First frame.
        stop: One past the last frame.

    Returns:
        Columns in the order of ``VOICE_NAMES``: semitones, 0..1, dB, dB, dB, dB, kHz, kHz, kHz.
    """
    blocks = range(start, stop, BLOCK)
    return np.concatenate([_block(_frames(audio, low, min(low + BLOCK, stop))) for low in blocks])


def _block(frames: Float32[np.ndarray, "a 886"]) -> Float32[np.ndarray, "a 9"]:
    frames = frames - frames.mean(axis=1, keepdims=True)
    lag, strength = _yin(frames)
    hz = SAMPLE_RATE_HZ / lag
    spectrum = rfft(frames * np.hanning(SPAN).astype(np.float32), FFT, axis=1)
    power = spectrum.real**2 + spectrum.imag**2  # [a, 513]
    level_db = 10 * np.log10(power + TINY)
    first, second = _near(level_db, hz), _near(level_db, 2 * hz)
    columns = (
        12 * np.log2(hz / REFERENCE_HZ),
        strength,
        first - second,
        first - _peak(level_db, 300.0, 1000.0),
        first - _peak(level_db, 2200.0, 3500.0),
        _cepstral_peak(level_db),
        *_formants_khz(power).T,
    )
    assert len(columns) == len(VOICE_NAMES)
    return np.stack(columns, axis=1).astype(np.float32)


def _frames(audio: np.ndarray, start: int, stop: int) -> Float32[np.ndarray, "a 886"]:
    first, last = start * HOP - SPAN // 2, (stop - 1) * HOP - SPAN // 2 + SPAN
    inside = audio[max(first, 0) : max(min(last, len(audio)), 0)]
    padded = np.pad(inside, (max(-first, 0), 0))
    padded = np.pad(padded, (0, max(0, last - first - len(padded)))).astype(np.float32)
    return np.lib.stride_tricks.sliding_window_view(padded, SPAN)[::HOP][: stop - start]


def _yin(frames: Float32[np.ndarray, "a 886"]) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"]]:
    """Lag in samples, and 1 minus YIN's normalised difference there (de Cheveigné and Kawahara, 2002); no tracking."""
    spectrum = rfft(frames, FFT, axis=1) * np.conj(rfft(frames[:, :CORRELATED], FFT, axis=1))
    product = irfft(spectrum, FFT, axis=1)[:, : HIGH_LAG + 1]
    square = frames**2
    energy = np.sum(square[:, :CORRELATED], axis=1, keepdims=True)
    moved = np.cumsum(square[:, CORRELATED:] - square[:, :HIGH_LAG], axis=1)
    difference = np.maximum(np.pad(moved, ((0, 0), (1, 0))) + 2 * (energy - product), 0) + TINY * (energy + TINY)
    difference[:, 0] = 0
    lags = np.arange(HIGH_LAG + 1, dtype=np.float32)
    normalised = difference * lags / np.maximum(np.cumsum(difference, axis=1), 1e-20)
    rows, seen = np.arange(len(frames)), normalised[:, LOW_LAG:HIGH_LAG]
    valley = (seen < DIP) & (seen <= normalised[:, LOW_LAG + 1 :])
    found = LOW_LAG + np.where(valley.any(axis=1), valley.argmax(axis=1), seen.argmin(axis=1))
    left, here, right = (normalised[rows, found + k] for k in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.where(bend > 1e-9, 0.5 * (left - right) / np.where(bend > 1e-9, bend, 1), 0)
    return found + np.clip(shift, -0.5, 0.5), np.clip(1 - here, 0, 1)


def _near(level_db: Float[np.ndarray, "a 513"], hz: Float[np.ndarray, " a"]) -> Float[np.ndarray, " a"]:
    """Largest level within one bin of a frequency."""
    centre = np.clip(np.round(hz * FFT / SAMPLE_RATE_HZ).astype(int), 1, FFT // 2 - 1)
    rows = np.arange(len(level_db))
    return np.max([level_db[rows, centre + k] for k in (-1, 0, 1)], axis=0)


def _peak(level_db: Float[np.ndarray, "a 513"], low_hz: float, high_hz: float) -> Float[np.ndarray, " a"]:
    low, high = (int(hz * FFT / SAMPLE_RATE_HZ) for hz in (low_hz, high_hz))
    return level_db[:, low:high].max(axis=1)


def _cepstral_peak(level_db: Float[np.ndarray, "a 513"]) -> Float[np.ndarray, " a"]:
    """Prominence of the cepstrum's peak between 65 and 615 Hz over its mean there, dB."""
    cepstrum = np.abs(irfft(level_db, FFT, axis=1))[:, LOW_LAG : HIGH_LAG + 1]
    return cepstrum.max(axis=1) - cepstrum.mean(axis=1)


def _formants_khz(power: Float[np.ndarray, "a 513"]) -> Float[np.ndarray, "a 3"]:
    """First three peaks from 0.2 to 5 kHz of an all-pole envelope (order 16, pre-emphasis); 0 where there is none."""
    hz = np.arange(FFT // 2 + 1) * SAMPLE_RATE_HZ / FFT
    emphasis = (1.9409 - 1.94 * np.cos(2 * np.pi * hz / SAMPLE_RATE_HZ)).astype(np.float32)  # 1 - 0.97 / z
    correlation = irfft(power * emphasis, FFT, axis=1)[:, : LPC_ORDER + 1].astype(np.float64)
    correlation[:, 0] = correlation[:, 0] * 1.0001 + TINY
    order = np.abs(np.arange(LPC_ORDER)[:, None] - np.arange(LPC_ORDER))
    weights = np.linalg.solve(correlation[:, order], correlation[:, 1:, None])[..., 0]
    filters = np.concatenate([np.ones((len(power), 1)), -weights], axis=1).astype(np.float32)
    inverse = np.abs(rfft(filters, FFT // 2, axis=1))
    low, high = int(200 / 31.25), int(5000 / 31.25)
    inside = inverse[:, low:high]
    peak = (inside < inverse[:, low - 1 : high - 1]) & (inside <= inverse[:, low + 1 : high + 1])
    return np.stack([_nth(peak, n) for n in (1, 2, 3)], axis=1)


def _nth(peak: np.ndarray, n: int) -> Int[np.ndarray, " a"] | Float[np.ndarray, " a"]:
    """Frequency in kHz of the n-th peak of each row, 0 where there are fewer."""
    hit = peak & (np.cumsum(peak, axis=1) == n)
    return np.where(hit.any(axis=1), (hit.argmax(axis=1) + int(200 / 31.25)) * 0.03125, 0.0)
