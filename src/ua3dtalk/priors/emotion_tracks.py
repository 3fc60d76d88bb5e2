"""Spectral tracks of the emotion teacher: thirteen descriptions of the levelled log-mel spectrum, frame by frame."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ua3dtalk.priors.speech_features import HIGH_HZ, LOW_HZ
from ua3dtalk.subject.speech_data import NUM_MEL

ACTIVE_NATS = 8.0
"""A frame is active when it is at most 35 dB below the loudest."""


def _band_hz() -> Float[np.ndarray, " 80"]:
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    return 700 * (10 ** (np.linspace(low, high, NUM_MEL + 2)[1:-1] / 2595) - 1)


BAND_HZ = _band_hz()
"""Centres of the mel bands."""


def spectral_tracks(mel: Float[np.ndarray, "a 80"]) -> Float[np.ndarray, "a 14"]:
    """Level; centroid, roll-off at 25 and 85 % in kHz; flux; slopes below and above 1 kHz; balances in nats.

    Args:
        mel: Levelled log-mel.
    """
    power = np.exp(mel)
    total = power.sum(axis=1, keepdims=True)
    share = power / total
    khz = BAND_HZ / 1000
    cumulated = np.cumsum(share, axis=1)
    root = np.sqrt(share)
    flux = np.sqrt(np.square(np.diff(root, axis=0, prepend=root[:1])).sum(axis=1))

    def part(low_hz: float, high_hz: float) -> slice:
        return slice(*np.searchsorted(BAND_HZ, (low_hz, high_hz)))

    def of_total(low_hz: float, high_hz: float) -> np.ndarray:
        return np.log(share[:, part(low_hz, high_hz)].sum(axis=1) + 1e-9)

    def slope(low_hz: float, high_hz: float) -> np.ndarray:
        where = part(low_hz, high_hz)
        x = khz[where] - khz[where].mean()
        return mel[:, where] @ x / (x @ x)

    columns = [
        mel.mean(axis=1),
        share @ khz,
        khz[np.minimum((cumulated < 0.25).sum(axis=1), NUM_MEL - 1)],
        khz[np.minimum((cumulated < 0.85).sum(axis=1), NUM_MEL - 1)],
        flux,
        slope(50.0, 1000.0),
        slope(1000.0, 5000.0),
        of_total(50.0, 1000.0) - of_total(1000.0, 5000.0),
        mel[:, part(0.0, 2000.0)].max(axis=1) - mel[:, part(2000.0, 5000.0)].max(axis=1),
        mel.mean(axis=1) - np.log(total[:, 0] / NUM_MEL),
        of_total(0.0, 300.0),
        of_total(500.0, 1500.0),
        of_total(2000.0, 4000.0),
        of_total(4000.0, 8000.0),
    ]
    return np.stack(columns, axis=1)
