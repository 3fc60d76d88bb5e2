"""Functionals: size, level, and that each kind follows what it is named for."""

from __future__ import annotations

import numpy as np
import pytest
from made_speaker import made_speech

from ua3dtalk.priors.emotion_functionals import NUM_FUNCTIONALS, functionals
from ua3dtalk.priors.emotion_tracks import BAND_HZ, spectral_tracks
from ua3dtalk.subject.speech_data import SpeechFeatures


def of(speech: SpeechFeatures, low: int = 0, high: int = 300) -> np.ndarray:
    voice = speech.voice.copy()
    voice[:, 1] = 0.9  # voiced throughout
    return functionals(speech.mel[low:high], voice[low:high], speech.phones[low:high])


def test_level_does_not_matter() -> None:
    speech = made_speech(3)
    louder = SpeechFeatures(speech.phones, speech.mel + 3, speech.voice, encoder=speech.encoder)
    np.testing.assert_allclose(of(speech), of(louder), atol=2e-3)


def test_pitch_moves_pitch_statistics_only() -> None:
    speech = made_speech(3)
    higher = speech.voice.copy()
    higher[:, 0] += 5
    moved = of(SpeechFeatures(speech.phones, speech.mel, higher, encoder=speech.encoder)) - of(speech)
    changed = np.flatnonzero(np.abs(moved) > 1e-3)
    assert len(changed) == 6  # mean and five quantiles
    np.testing.assert_allclose(moved[changed], 5, atol=1e-3)


@pytest.mark.parametrize("frames", [8, 30, 300])
def test_any_window_gives_finite_numbers(frames: int) -> None:
    silent = functionals(np.full((frames, 80), -13.8), np.zeros((frames, 9)), np.full((frames, 42), 1 / 42))
    assert silent.shape == (NUM_FUNCTIONALS,) and np.isfinite(silent).all()
    assert np.isfinite(of(made_speech(3), 0, frames)).all()


def test_spectral_tracks_follow_the_spectrum() -> None:
    flat, tilted, peak = np.zeros((3, 80)), np.tile(-BAND_HZ / 1000, (3, 1)), np.full((3, 80), -8.0)
    peak[:, int(np.searchsorted(BAND_HZ, 3000))] = 0
    level, centroid, _, _, flux, low_slope, high_slope, *_ = spectral_tracks(tilted).T
    np.testing.assert_allclose(low_slope, -1, atol=1e-6)
    np.testing.assert_allclose(high_slope, -1, atol=1e-6)
    assert (centroid < spectral_tracks(flat)[:, 1]).all() and (level < 0).all() and (flux == 0).all()
    np.testing.assert_allclose(spectral_tracks(peak)[:, 1], 3, atol=0.15)
