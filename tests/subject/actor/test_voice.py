"""The synthetic voice: length, level, emotions, and what a speech recogniser makes of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.actor.generate import Speech, synthesize_voice
from ua3dtalk.subject.actor.phones import FORMANTS, LEXICON, VISEMES, pronounce


@pytest.fixture(scope="module")
def voices() -> dict[str, Speech]:
    return {name: synthesize_voice(name, 1.0, seconds=5.0) for name in ("neutral", "happy", "sad", "angry")}


def test_every_phone_of_the_lexicon_has_a_sound_and_a_look() -> None:
    used = {symbol for word in LEXICON for symbol, _ in pronounce(word)}
    assert used <= set(FORMANTS) and used <= set(VISEMES)
    assert len(used) >= 37, "nearly all of the 39 phones occur"


def test_an_unknown_word_or_emotion_is_named() -> None:
    with pytest.raises(UserError, match="xylophone"):
        synthesize_voice("neutral", 0.0, text="the xylophone")
    with pytest.raises(UserError, match="bored"):
        synthesize_voice("bored", 1.0, text="the boat")


def test_a_text_is_said_word_by_word() -> None:
    speech = synthesize_voice("neutral", 0.0, text="the baby found my blue boat")
    said = [phone.symbol for phone in speech.score.phones if phone.symbol != "SIL"]
    assert said == ["DH", "AH", "B", "EY", "B", "IY", "F", "AW", "N", "D", "M", "AY", "B", "L", "UW", "B", "OW", "T"]


def test_sound_has_the_right_length_and_is_not_clipped(voices: dict[str, Speech]) -> None:
    for speech in voices.values():
        assert len(speech.audio) == 5 * 16000
        assert 0.2 < np.abs(speech.audio).max() < 0.9
        phones = speech.score.phones
        assert phones[0].start_s == 0 and phones[-1].end_s == pytest.approx(5.0, abs=1e-6)
        assert all(a.end_s == b.start_s and a.end_s > a.start_s for a, b in pairwise(phones))


def test_vowels_sound_and_silences_do_not(voices: dict[str, Speech]) -> None:
    speech = voices["neutral"]
    level = {"SIL": [], "vowel": []}
    for phone in speech.score.phones:
        part = speech.audio[int(phone.start_s * 16000) : int(phone.end_s * 16000)]
        if phone.symbol == "SIL":
            level["SIL"].append(np.std(part[400:-400]))
        elif phone.symbol in ("AA", "EY", "OW", "ER", "IY", "AW", "AE"):
            level["vowel"].append(np.std(part))
    assert min(level["vowel"]) > 10 * max(level["SIL"])


def test_emotions_change_the_voice(voices: dict[str, Speech]) -> None:
    pitch = {name: np.median(speech.score.pitch_hz) for name, speech in voices.items()}
    spread = {name: np.std(np.log2(speech.score.pitch_hz)) for name, speech in voices.items()}
    same_words = {name: synthesize_voice(name, 1.0, text="we are our warm moon now") for name in voices}
    bright = {name: _share_above_2khz(speech.audio) for name, speech in same_words.items()}
    assert pitch["happy"] > 1.1 * pitch["neutral"] > 1.1 * pitch["sad"]
    assert spread["happy"] > spread["neutral"] > 1.5 * spread["sad"]
    assert bright["angry"] > bright["neutral"] > bright["sad"]


def test_intensity_lies_between_neutral_and_full() -> None:
    mean = [np.median(synthesize_voice("happy", level, seconds=3.0).score.pitch_hz) for level in (0.0, 0.5, 1.0)]
    assert mean[0] < mean[1] < mean[2]


def test_same_request_same_sound() -> None:
    one, two = (synthesize_voice("happy", 0.5, seconds=2.0).audio for _ in range(2))
    assert np.array_equal(one, two)


def _share_above_2khz(audio: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(audio)) ** 2
    return float(power[len(power) // 4 :].sum() / power.sum())
