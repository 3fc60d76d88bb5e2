"""Voice tracks: pitch, time, level and pieces."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from ua3dtalk.priors.voice_tracks import voice_tracks
from ua3dtalk.subject.speech_data import VOICE_NAMES

PITCH, PERIODICITY = VOICE_NAMES.index("pitch"), VOICE_NAMES.index("periodicity")


def buzz(hz: float, seconds: float = 1.0) -> np.ndarray:
    """A voice-like pulse train: all harmonics, falling by 12 dB an octave."""
    t = np.arange(int(16000 * seconds)) / 16000
    harmonics = np.arange(1, int(7000 / hz))
    wave = (np.cos(2 * np.pi * hz * np.outer(t, harmonics)) / harmonics**2).sum(axis=1)
    return (0.1 * wave).astype(np.float32)


@pytest.mark.parametrize("hz", [75.0, 120.0, 220.0, 380.0, 560.0])
def test_pitch_is_found(hz: float) -> None:
    tracks = voice_tracks(buzz(hz), 20, 80)
    np.testing.assert_allclose(tracks[:, PITCH], 12 * np.log2(hz / 27.5), atol=0.2)
    assert (tracks[:, PERIODICITY] > 0.95).all()


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    assert (voice_tracks(noise, 0, 201)[:, PERIODICITY] > 0.65).mean() < 0.02


def test_level_does_not_matter() -> None:
    sound = buzz(140) + np.random.default_rng(0).normal(0, 0.01, 16000).astype(np.float32)
    np.testing.assert_allclose(voice_tracks(sound, 10, 90), voice_tracks(4 * sound, 10, 90), atol=0.05)


def test_pieces_give_what_the_whole_gives() -> None:
    sound = buzz(140, 4.0) * np.random.default_rng(0).uniform(0.5, 1, 64000).astype(np.float32)
    np.testing.assert_array_equal(voice_tracks(sound, 0, 401)[130:251], voice_tracks(sound, 130, 251))


def test_a_change_lands_on_its_time() -> None:
    sound = np.concatenate([buzz(110), buzz(220)])
    pitch = voice_tracks(sound, 0, 200)[:, PITCH]
    assert abs(int(np.flatnonzero(pitch > 30)[0]) - 100) <= 3


def test_tilt_follows_the_first_harmonic() -> None:
    t = np.arange(16000) / 16000
    more = (buzz(150) + 0.2 * np.cos(2 * np.pi * 150 * t)).astype(np.float32)
    tilt = VOICE_NAMES.index("h1_h2")
    gain_db = voice_tracks(more, 20, 80)[:, tilt] - voice_tracks(buzz(150), 20, 80)[:, tilt]
    np.testing.assert_allclose(gain_db, 20 * np.log10(3), atol=0.5)


def test_formants_are_where_the_resonances_are() -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.01, 16000)
    for hz, width in ((700.0, 80.0), (1800.0, 100.0)):
        pole = np.exp(-np.pi * width / 16000)
        coefficients = [1, -2 * pole * np.cos(2 * np.pi * hz / 16000), pole**2]
        sound = np.asarray(lfilter([1], coefficients, sound))
    formants = voice_tracks(sound.astype(np.float32), 20, 80)[:, 6:8]
    np.testing.assert_allclose(np.median(formants, axis=0), [0.7, 1.8], atol=0.07)


def test_silence_and_short_sound_are_finite() -> None:
    assert np.isfinite(voice_tracks(np.zeros(1600, np.float32), 0, 11)).all()
    assert voice_tracks(np.full(50, 0.1, np.float32), 0, 1).shape == (1, len(VOICE_NAMES))
