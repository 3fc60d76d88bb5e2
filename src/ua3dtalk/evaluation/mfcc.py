"""Mel-frequency cepstra as SyncNet was trained on them: those of ``python_speech_features`` with its defaults."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import scipy.fft
from jaxtyping import Float32, Float64

SAMPLE_RATE_HZ = 16000
RATE_HZ = 100
NUM_CEPSTRA = 13
_WINDOW, _HOP, _FFT = 400, 160, 512
_FILTERS = 26
_PREEMPHASIS = 0.97
_LIFTER = 22
_BLOCK = 4096  # frames


def mfcc(audio: Float32[np.ndarray, " s"]) -> Float32[np.ndarray, "a 13"]:
    """Thirteen liftered cepstra of windows of 25 ms every 10 ms; the first is the logarithm of the window's energy.

    Window ``a`` starts at ``a / 100`` seconds (it is not centred there). No window function, pre-emphasis .97, FFT of
    512, 26 mel filters from 0 to 8 kHz, lifter 22, on samples scaled to 16-bit integers.

    Args:
        audio: 16 kHz mono, -1..1.

    Returns:
        ``1 + ceil((s - 400) / 160)`` windows (at least one), the end padded with zeros.

    Raises:
        ValueError: no samples.

    Source: ``python_speech_features`` 0.6 (J. Lyons), ``base.mfcc``; written anew.
    """
    if not len(audio):
        raise ValueError("`audio` must hold at least one sample, got none.")
    count = 1 + max(0, math.ceil((len(audio) - _WINDOW) / _HOP))
    return np.concatenate([_cepstra(audio, first, min(first + _BLOCK, count)) for first in range(0, count, _BLOCK)])


def _cepstra(audio: np.ndarray, first: int, stop: int) -> np.ndarray:
    """Cepstra of windows ``first`` to ``stop``; memory does not grow with the sound."""
    low, high = first * _HOP, (stop - 1) * _HOP + _WINDOW
    before = audio[max(low - 1, 0) : high]
    samples = np.round(np.clip(before.astype(np.float64) * 32768, -32768, 32767))
    previous = samples[:-1] if low else np.concatenate([[0.0], samples[:-1]])
    emphasised = samples[len(samples) - len(previous) :] - _PREEMPHASIS * previous
    padded = np.pad(emphasised, (0, high - low - len(emphasised)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(windows, _FFT)) ** 2 / _FFT
    tiny = np.finfo(np.float64).eps
    energy, mel = power.sum(1), power @ _filters().T
    spectrum = np.asarray(scipy.fft.dct(np.log(np.where(mel == 0, tiny, mel)), type=2, axis=1, norm="ortho"))
    cepstra = spectrum[:, :NUM_CEPSTRA] * (1 + _LIFTER / 2 * np.sin(np.pi * np.arange(NUM_CEPSTRA) / _LIFTER))
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return cepstra.astype(np.float32)


@cache
def _filters() -> Float64[np.ndarray, "26 257"]:
    """Triangles between whole FFT bins, equally spaced on the mel scale."""
    mels = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700), _FILTERS + 2)
    edges = np.floor((_FFT + 1) * 700 * (10 ** (mels / 2595) - 1) / SAMPLE_RATE_HZ)
    bins = np.arange(_FFT // 2 + 1)
    left, middle, right = (edges[i : i + _FILTERS, None] for i in range(3))
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    return np.where(bins < middle, rising, falling) * ((bins >= left) & (bins < right))
