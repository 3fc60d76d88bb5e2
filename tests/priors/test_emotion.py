"""Emotion: space and requests, silence gate, teacher."""

from __future__ import annotations

import numpy as np
import pytest
from made_speaker import LABELS, made_speech
from scipy.signal import lfilter

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.content import voice_activity
from ua3dtalk.priors.emotion_space import EmotionSpace
from ua3dtalk.priors.emotion_teacher import SHIPPED, EmotionTeacher
from ua3dtalk.priors.features import EmotionRequest
from ua3dtalk.priors.phone_posteriors import phone_names
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures


@pytest.fixture
def space(teacher: EmotionTeacher) -> EmotionSpace:
    return EmotionSpace(labels=teacher.labels, points=teacher.centroids)


def test_intensity_walks_from_neutral_to_the_label(space: EmotionSpace) -> None:
    strengths = np.linspace(0, 1, 11).astype(np.float32)
    points = space.place(EmotionRequest("angry", strengths), 11)
    neutral, angry = space.points[LABELS.index("neutral")], space.points[LABELS.index("angry")]
    np.testing.assert_allclose(points[0], neutral, atol=1e-6)
    np.testing.assert_allclose(points[-1], angry, atol=1e-6)
    away = np.linalg.norm(points - neutral, axis=1)
    assert (np.diff(away) > 0).all()


def test_neutral_has_no_intensity(space: EmotionSpace) -> None:
    points = space.place(EmotionRequest("neutral", 1.0), 3)
    np.testing.assert_allclose(points, np.tile(space.points[LABELS.index("neutral")], (3, 1)))


def test_labels_may_change_by_frame_and_have_other_words(space: EmotionSpace) -> None:
    points = space.place(EmotionRequest(["anger", "Happy", "sadness"], 1.0), 4)
    for row, label in zip(points, ("angry", "happy", "sad", "sad"), strict=True):
        np.testing.assert_allclose(row, space.points[LABELS.index(label)], atol=1e-6)


@pytest.mark.parametrize("request_", [EmotionRequest("cross"), EmotionRequest("sad", 1.5), EmotionRequest([], 1.0)])
def test_bad_requests_are_refused(space: EmotionSpace, request_: EmotionRequest) -> None:
    with pytest.raises(UserError):
        space.place(request_, 5)


def test_silence_is_neutral_without_confidence(teacher: EmotionTeacher) -> None:
    phones = np.zeros((1001, 42), np.float32)
    phones[:, phone_names().index("SIL")] = 1
    speech = SpeechFeatures(
        phones, np.full((1001, 80), -13.0, np.float32), np.zeros((1001, 9), np.float32), encoder=teacher.encoder
    )
    heard = teacher.hear(speech, voice_activity(speech, 250))
    np.testing.assert_allclose(heard.embedding, np.tile(teacher.neutral, (250, 1)), atol=1e-6)
    assert (heard.confidence == 0).all()
    assert (heard.probabilities[:, LABELS.index("neutral")] == 1).all()
    for axis in (heard.arousal, heard.valence, heard.intensity):
        assert (axis == 0).all()


@pytest.mark.parametrize("level_db", [-70, -55, -40, -20])
def test_noise_without_a_voice_has_no_emotion(level_db: int) -> None:
    """Near-silence of any level, hiss and rumble: nobody is sad in an empty room."""
    rng = np.random.default_rng(0)
    hiss = rng.normal(size=80000)
    for sound in (hiss, lfilter([1], [1, -0.97], hiss)):
        audio = (sound / np.sqrt(np.mean(sound**2)) * 10 ** (level_db / 20)).clip(-1, 1).astype(np.float32)
        speech = PhoneEncoder().encode(audio)
        heard = EmotionTeacher.load().hear(speech, voice_activity(speech, 125))
        assert heard.confidence.max() < 0.05


def test_axes_and_intensity_are_in_range(teacher: EmotionTeacher) -> None:
    speech = made_speech(6)
    heard = teacher.hear(speech, voice_activity(speech, 150))
    assert np.abs(heard.arousal).max() <= 1 and np.abs(heard.valence).max() <= 1
    assert heard.intensity.min() >= 0 and heard.intensity.max() <= 1


def test_speech_is_heard(teacher: EmotionTeacher) -> None:
    speech = made_speech(10)
    heard = teacher.hear(speech, voice_activity(speech, 250))
    assert heard.embedding.shape == (250, 128) and (heard.confidence > 0.1).all()


def test_level_does_not_matter(teacher: EmotionTeacher) -> None:
    speech = made_speech(6)
    louder = SpeechFeatures(speech.phones, speech.mel + 3, speech.voice, encoder=speech.encoder)
    voiced = voice_activity(speech, 150)
    np.testing.assert_allclose(
        teacher.hear(speech, voiced).embedding, teacher.hear(louder, voiced).embedding, atol=1e-5
    )


def test_the_shipped_teacher_is_small_and_says_how_good_it_is() -> None:
    teacher = EmotionTeacher.load()
    assert SHIPPED.stat().st_size < 2e6
    assert 0.74 < teacher.facts["uar_held_out_speakers"] < 0.95
    assert {"neutral", "happy", "sad", "angry", "fearful", "disgusted"} <= set(teacher.labels)
