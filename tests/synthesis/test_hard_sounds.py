"""Speech that is not studio English: other languages, telephone, clipping, music, noise, silence around it.

Real recordings go through the real encoder and the shipped lip expert; what comes out must be finite, and lips must
follow the same speech as in the clean recording.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.offset import correlation
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.synthesis.drive import frames_of, read_speech
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.write import synthesize

SECONDS = 4
RATE = 16000


@pytest.fixture(scope="module")
def clean(shared: Path) -> np.ndarray:
    return read_speech(shared / "data" / "speech" / "english_radio.flac")[: SECONDS * RATE]


def lips(samples: np.ndarray) -> np.ndarray:
    """First lip components that the speech asks for, frame by frame."""
    speech = PhoneEncoder().encode(samples)
    voiced = voice_activity(speech, frames_of(samples))
    found = ContentPrior.load().features(speech, voiced)
    assert np.isfinite(found).all() and np.isfinite(voiced).all()
    return found


def agreement(samples: np.ndarray, clean: np.ndarray) -> float:
    return correlation(lips(samples)[:, 0], lips(clean)[:, 0])


@pytest.mark.parametrize("name", ["german", "chinese_poem"])
def test_other_languages_move_the_lips(shared: Path, name: str) -> None:
    samples = read_speech(shared / "data" / "speech" / f"{name}.flac")[: SECONDS * RATE]
    assert lips(samples)[:, 0].std() > 0.3  # English moves them by about 1


def test_the_telephone_says_the_same(clean: np.ndarray, tmp_path: Path) -> None:
    import soxr

    soundfile.write(tmp_path / "phone.wav", soxr.resample(clean, RATE, 8000), 8000)
    heard = read_speech(tmp_path / "phone.wav")
    assert abs(len(heard) - len(clean)) <= 2
    assert agreement(heard[: len(clean)], clean) > 0.5


def test_clipped_speech_says_the_same(clean: np.ndarray, tmp_path: Path) -> None:
    loud = np.clip(clean * 10 / np.abs(clean).max(), -1, 1)
    soundfile.write(tmp_path / "loud.wav", loud, RATE)
    assert agreement(read_speech(tmp_path / "loud.wav"), clean) > 0.5


def test_level_does_not_matter(clean: np.ndarray) -> None:
    assert agreement(0.05 * clean, clean) > 0.9


def test_silence_around_speech_keeps_the_mouth_still(clean: np.ndarray) -> None:
    rest = np.zeros(2 * RATE, np.float32)
    speech = PhoneEncoder().encode(np.concatenate([rest, clean, rest]))
    voiced = voice_activity(speech, 25 * (SECONDS + 4))
    assert voiced[:40].max() < 0.2 and voiced[-40:].max() < 0.2 and voiced[50:-50].mean() > 0.5


def test_music_and_noise_become_a_video(fakes: Any, tmp_path: Path) -> None:
    """Nothing says that they are not speech; they must not break anything."""
    time_s = np.arange(2 * RATE) / RATE
    chords = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.2, 329.6, 440.0)) * (np.sin(8 * time_s) ** 2)
    noise = np.random.default_rng(0).normal(0, 0.2, 2 * RATE)
    for name, sound in (("music", chords / 6), ("noise", noise.clip(-1, 1))):
        samples = sound.astype(np.float32)
        assert np.isfinite(lips(samples)).all()
        speech, out = PhoneEncoder().encode(samples), tmp_path / f"{name}.mp4"
        done = synthesize(fakes.Avatar(), samples, speech, out, SynthesisOptions(), np.random.default_rng(0))
        assert done.frames == 50 and out.is_file()


def test_silence_is_refused_in_any_form(tmp_path: Path) -> None:
    for rate, channels in ((8000, 1), (48000, 2)):
        soundfile.write(tmp_path / "none.wav", np.zeros((rate, channels)), rate)
        with pytest.raises(UserError, match=r"none.wav is silent"):
            read_speech(tmp_path / "none.wav")
