"""Speech features: shape, time, chunks, silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors import speech_features
from ua3dtalk.priors.phone_posteriors import _forward_backward, phone_names, silence_columns
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures

SPEECH = Path(__file__).resolve().parents[3] / "shared" / "data" / "speech"


def real_speech(name: str, seconds: float) -> np.ndarray:
    if not SPEECH.is_dir():
        pytest.skip("../shared is absent: needs recorded speech")
    samples, rate = soundfile.read(SPEECH / name, dtype="float32")
    samples = samples.mean(axis=1) if samples.ndim > 1 else samples
    return soxr.resample(samples, rate, 16000)[: int(16000 * seconds)].astype(np.float32)


def test_a_click_lands_on_its_time() -> None:
    audio = np.zeros(32000, np.float32)
    audio[16000] = 0.9
    mel = PhoneEncoder().encode(audio).mel
    assert mel.shape == (201, 80)
    assert abs(int(mel.mean(axis=1).argmax()) - 100) <= 1


def test_phones_begin_when_the_sound_begins() -> None:
    speech = real_speech("english_short.flac", 3)
    loud = np.flatnonzero(np.abs(speech) > 0.2 * np.abs(speech).max())[0]
    audio = np.concatenate([np.zeros(16000, np.float32), speech[loud:]])
    silent = PhoneEncoder().encode(audio).phones[:, list(silence_columns())].sum(axis=1)
    onset = int(np.flatnonzero(silent < 0.5)[0])
    assert abs(onset - 100) <= 6, onset  # phones are three states long: an onset is felt within 60 ms


def test_rows_are_probabilities_and_names_are_known() -> None:
    features = PhoneEncoder().encode(real_speech("english_short.flac", 3))
    np.testing.assert_allclose(features.phones.sum(axis=1), 1, atol=1e-5)
    assert len(phone_names()) == 42 and "SIL" in phone_names() and "AA" in phone_names()


def test_chunks_agree_with_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = real_speech("german.flac", 10)
    whole = PhoneEncoder().encode(audio)
    monkeypatch.setattr(speech_features, "CHUNK_S", 4.0)
    pieces = PhoneEncoder().encode(audio)
    np.testing.assert_array_equal(whole.mel, pieces.mel)
    same = (whole.phones.argmax(axis=1) == pieces.phones.argmax(axis=1)).mean()
    assert same > 0.8, same  # each piece takes out its own cepstral mean; measured .9


def test_silence_is_silence() -> None:
    noise = np.random.default_rng(0).normal(0, 2e-4, 32000).astype(np.float32)  # -74 dB
    phones = PhoneEncoder().encode(noise).phones
    assert (phones[:, silence_columns()[0]] == 1).all()


@pytest.mark.parametrize("bad", [np.zeros(0, np.float32), np.full(1600, np.nan, np.float32)])
def test_bad_sound_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(UserError):
        PhoneEncoder().encode(bad)


def test_very_short_sound_works() -> None:
    assert PhoneEncoder().encode(np.full(50, 0.1, np.float32)).phones.shape == (1, 42)


def test_forward_backward_against_enumeration() -> None:
    rng = np.random.default_rng(1)
    log_likelihood, stay = rng.normal(size=(4, 6)), 0.65
    move = np.zeros((6, 6))
    for p in (0, 1):
        for k in range(3):
            move[3 * p + k, 3 * p + k] += stay
            for q in (3 * p + k + 1,) if k < 2 else (0, 3):
                move[3 * p + k, q] += (1 - stay) * (1.0 if k < 2 else 0.5)
    posterior = np.zeros((4, 2))
    for path in np.ndindex(6, 6, 6, 6):
        weight = (np.full(6, 1 / 6) @ move)[path[0]] * np.exp(log_likelihood[0, path[0]])
        for t in (1, 2, 3):
            weight *= move[path[t - 1], path[t]] * np.exp(log_likelihood[t, path[t]])
        for t in range(4):
            posterior[t, path[t] // 3] += weight
    posterior /= posterior.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_forward_backward(log_likelihood, stay), posterior, atol=1e-12)


def test_phones_come_back_from_windows() -> None:
    rng = np.random.default_rng(0)
    slow = np.exp(3 * np.stack([np.convolve(rng.normal(size=419), np.hanning(20) / 3, "valid") for _ in range(42)], 1))
    phones = (slow / slow.sum(axis=1, keepdims=True)).astype(np.float32)
    features = SpeechFeatures(phones, np.zeros((400, 80), np.float32), np.zeros((400, 9), np.float32), "test")
    again = SpeechFeatures.from_windows(features.windows(100), "test")
    assert again.num_audio_frames == 400 and again.rate_hz == 100
    apart = [float(np.abs(again.phones[8:392] - phones[8 - k : 392 - k]).mean()) for k in (-1, 0, 1)]
    assert apart[1] < 0.4 * min(apart[0], apart[2]), "smoothed, and neither early nor late"
    np.testing.assert_allclose(again.phones.sum(axis=1), 1, atol=1e-5)


def test_windows_are_centred_and_saved_exactly(tmp_path: Path) -> None:
    phones = np.zeros((401, 42), np.float32)
    phones[:, 0] = 1
    phones[200:203] = np.eye(42, dtype=np.float32)[5]
    features = SpeechFeatures(phones, np.zeros((401, 80), np.float32), np.zeros((401, 9), np.float32), encoder="test")
    windows = features.windows(120)
    assert windows.shape == (120, 42, 16)
    # 2.01 s lies 10 ms after frame 50 (2.00 s): step 8 is centred 10 ms after the frame.
    assert int(windows[50, 5].argmax()) == 8
    # Blocks of a thousand frames are made one after the other: the numbers do not show it.
    far = np.zeros((4401, 42), np.float32)
    far[4000:] = phones
    later = SpeechFeatures(far, np.zeros((4401, 80), np.float32), np.zeros((4401, 9), np.float32), encoder="test")
    np.testing.assert_allclose(later.windows(1100)[1004:], windows[4:100], atol=1e-6)
    features.save(tmp_path / "speech.npz")
    again = SpeechFeatures.load(tmp_path / "speech.npz")
    np.testing.assert_array_equal(again.phones, phones)
    assert again.encoder == "test"
    moved = features.shifted(0.1)
    np.testing.assert_array_equal(moved.phones[190:193], phones[200:203])
