"""Fitting priors to a made subject: shapes, out of fold, saving, requests."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_speaker import made_opening, made_speech, made_subject, made_track

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.features import EmotionRequest
from ua3dtalk.priors.offset import correlation
from ua3dtalk.priors.phone_posteriors import silence_columns
from ua3dtalk.priors.pipeline import Priors, PriorsConfig, fit_priors, subject_features
from ua3dtalk.priors.style import StyleConfig, fit_style, style_features, whole_face
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import Subject

FRAMES = 700


@pytest.fixture(scope="module")
def config(teacher_path: Path) -> PriorsConfig:
    return PriorsConfig(folds=3, style=StyleConfig(steps=6, batch=4), emotion_model=teacher_path)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, config: PriorsConfig) -> Subject:
    speech = made_speech(FRAMES / 25)
    folder = tmp_path_factory.mktemp("subject")
    subject = made_subject(folder, made_track(made_opening(speech, FRAMES)))
    speech.save(folder / "speech.npz")
    fit_priors(subject, config)
    return subject


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, config: PriorsConfig) -> Subject:
    speech = made_speech(FRAMES / 25, seed=3)
    strength = np.zeros(FRAMES)
    strength[150:350], strength[400:500] = 1.0, 0.5
    upper = np.random.default_rng(1).normal(0, 0.3, (FRAMES, 6))
    upper[:, 3] += 2.0 * strength
    folder = tmp_path_factory.mktemp("labelled")
    spans = (
        EmotionSpan(start_s=6.0, end_s=14.0, label="angry", intensity=1.0),
        EmotionSpan(start_s=16.0, end_s=20.0, label="angry", intensity=0.5),
        EmotionSpan(start_s=21.0, end_s=23.0, label="smug", intensity=1.0),
    )
    subject = made_subject(folder, made_track(made_opening(speech, FRAMES), upper=upper), labels=spans)
    speech.save(folder / "speech.npz")
    fit_priors(subject, config)
    return subject


def test_features_have_their_shapes_and_are_finite(fitted: Subject) -> None:
    features = subject_features(fitted.folder)
    shapes = {name: array.shape for name, array in features.arrays().items()}
    assert shapes == {
        "content": (FRAMES, 64), "style": (FRAMES, 64), "emotion": (FRAMES, 128), "lower": (FRAMES, 13),
        "upper_offset": (FRAMES, 6), "emotion_probs": (FRAMES, 4), "confidence": (FRAMES,), "voiced": (FRAMES,),
    }  # fmt: skip
    assert all(np.isfinite(a).all() and a.dtype == np.float32 for a in features.arrays().values())
    np.testing.assert_allclose(features.emotion_probs.sum(axis=1), 1, atol=1e-5)


def test_the_mouth_follows_unheard_speech(fitted: Subject) -> None:
    test = list(make_split(FRAMES).test)
    predicted, true = subject_features(fitted.folder).lower[test, 12], fitted.track().lower[test, 12]
    assert correlation(predicted, true) > 0.7  # measured .9
    assert 0.6 < predicted.std() / true.std() < 1.4


def test_test_frames_are_what_new_speech_would_give(fitted: Subject) -> None:
    again = Priors.load(fitted.folder / "priors.safetensors").features(fitted.speech(), FRAMES, None)
    stored = subject_features(fitted.folder)
    test = list(make_split(FRAMES).test)
    for name in ("content", "style", "emotion", "lower", "upper_offset"):
        np.testing.assert_allclose(again.arrays()[name][test], stored.arrays()[name][test], atol=1e-5)


def test_training_frames_are_predicted_out_of_fold(fitted: Subject, tmp_path: Path, config: PriorsConfig) -> None:
    """Poison one block's targets: its own predictions must not move, those of other blocks must."""
    train = list(make_split(FRAMES).train)
    block = train[: len(train) // 3]
    track = fitted.track()
    track.lower[block] = np.random.default_rng(9).normal(0, 5, (len(block), 13))
    poisoned = made_subject(tmp_path, track)
    fitted.speech().save(tmp_path / "speech.npz")
    fit_priors(poisoned, config)
    before, after = subject_features(fitted.folder).lower, subject_features(tmp_path).lower
    # Penalties are chosen over all blocks, so compare shapes of motion, not numbers.
    assert correlation(before[block, 12], after[block, 12]) > 0.8  # measured .89
    assert abs(correlation(after[block, 12], track.lower[block, 12])) < 0.15
    assert np.abs(before[train[-100:]] - after[train[-100:]]).max() > 0.1


def test_saved_priors_are_equal(fitted: Subject, tmp_path: Path) -> None:
    priors = Priors.load(fitted.folder / "priors.safetensors")
    priors.save(tmp_path / "copy.safetensors")
    copy = Priors.load(tmp_path / "copy.safetensors")
    assert copy.header == priors.header
    request = EmotionRequest("happy", 0.7, extrapolate=True)
    speech = made_speech(3, seed=5)
    for name, array in priors.features(speech, 75, request).arrays().items():
        np.testing.assert_array_equal(array, copy.features(speech, 75, request).arrays()[name])


def test_a_tampered_file_is_refused(fitted: Subject, tmp_path: Path) -> None:
    raw = bytearray((fitted.folder / "priors.safetensors").read_bytes())
    raw[-100] ^= 1
    bad = tmp_path / "priors.safetensors"
    bad.write_bytes(bytes(raw))
    with pytest.raises(UserError, match="altered"):
        Priors.load(bad)


def test_speech_of_another_encoder_is_refused(fitted: Subject) -> None:
    speech = made_speech(2)
    other = type(speech)(speech.phones, speech.mel, speech.voice, encoder="another:1")
    with pytest.raises(UserError, match="another:1"):
        Priors.load(fitted.folder / "priors.safetensors").features(other, 50, None)


def test_it_is_not_fitted_twice(fitted: Subject, config: PriorsConfig) -> None:
    stamp = (fitted.folder / "priors.safetensors").stat().st_mtime_ns
    fit_priors(fitted, config)
    assert (fitted.folder / "priors.safetensors").stat().st_mtime_ns == stamp


def test_other_labels_are_fitted_again(labelled: Subject, tmp_path: Path, config: PriorsConfig) -> None:
    shutil.copytree(labelled.folder, tmp_path / "copy")
    copy = Subject.resume(tmp_path / "copy")
    copy.set_labels(tuple(replace(span, label="sad") for span in copy.labels))
    fit_priors(copy, config)
    assert Priors.load(copy.folder / "priors.safetensors").askable.shown == ("neutral", "sad")


def test_no_speech_is_said(tmp_path: Path, config: PriorsConfig) -> None:
    subject = made_subject(tmp_path, made_track(np.random.default_rng(0).random(FRAMES)))
    with pytest.raises(UserError, match="no speech"):
        fit_priors(subject, config)


def test_labels_move_the_upper_face_in_proportion(labelled: Subject) -> None:
    priors = Priors.load(labelled.folder / "priors.safetensors")
    speech = labelled.speech()
    shifts = [priors.features(speech, 50, EmotionRequest("angry", i)).upper_offset[0, 3] for i in (0.0, 0.5, 1.0)]
    assert shifts[0] == 0
    assert shifts[1] == pytest.approx(1.0, abs=0.25)  # measured .96
    assert shifts[2] == pytest.approx(2.0, abs=0.3)  # measured 1.92


def test_what_was_not_shown_is_refused(fitted: Subject, labelled: Subject) -> None:
    without, own = (Priors.load(s.folder / "priors.safetensors") for s in (fitted, labelled))
    assert without.askable.shown == () and {"angry", "smug"} <= set(own.askable.shown)
    with pytest.raises(UserError, match="carries no emotion labels"):
        without.features(fitted.speech(), 10, EmotionRequest("angry"))
    with pytest.raises(UserError, match="never showed 'fearful', only .*angry.*--extrapolate"):
        own.features(labelled.speech(), 10, EmotionRequest("fearful"))
    lent = own.features(labelled.speech(), 10, EmotionRequest("fearful", extrapolate=True))
    neutral = own.features(labelled.speech(), 10, EmotionRequest("neutral"))
    np.testing.assert_array_equal(lent.emotion, neutral.emotion)  # the stream stays where the avatar knows it


def test_the_subjects_own_label_can_be_asked_for(labelled: Subject) -> None:
    priors = Priors.load(labelled.folder / "priors.safetensors")
    assert "smug" in priors.labels
    features = priors.features(labelled.speech(), 10, EmotionRequest("smug", 1.0))
    assert features.emotion_probs[0, priors.labels.index("smug")] == 1
    with pytest.raises(UserError, match="smug") as caught:
        priors.features(labelled.speech(), 10, EmotionRequest("grumpy", 1.0))
    assert "neutral" in str(caught.value)


def test_silence_closes_the_mouth_of_a_person(fitted: Subject) -> None:
    priors = Priors.load(fitted.folder / "priors.safetensors")
    speech = made_speech(6, seed=8)
    phones, mel = speech.phones.copy(), speech.mel.copy()
    phones[200:500], mel[200:500] = 0, np.log(1e-6)
    phones[200:500, silence_columns()[0]] = 1
    quiet = priors.features(replace(speech, phones=phones, mel=mel), 150, EmotionRequest("neutral", 0.0)).lower
    np.testing.assert_allclose(quiet[60:115], np.tile(priors.lips.rest, (55, 1)), atol=1e-5)
    assert np.abs(quiet[:45, 12] - priors.lips.rest[12]).max() > 0.5  # before it, somebody speaks


def test_style_carries_no_content() -> None:
    """Shuffled style still speaks the right visemes; swapped content does not."""
    speech, rng = made_speech(FRAMES / 25, seed=4), np.random.default_rng(0)
    opening = np.stack([made_opening(speech, FRAMES, delay) for delay in (-2.0, 0.0, 2.0)], axis=1)
    opening = (opening - opening.mean(axis=0)) / opening.std(axis=0)
    content = opening @ rng.normal(0, 0.6, (3, 64)) + rng.normal(0, 0.5, (FRAMES, 64))
    face = rng.normal(0, 0.3, (FRAMES, 19))
    face[:, 12] += opening[:, 1]
    face, content = face.astype(np.float32), content.astype(np.float32)
    train, test = range(550), np.arange(570, FRAMES)
    net = fit_style(speech, content, face, train, StyleConfig(steps=120, batch=8), np.random.default_rng(0))
    style, order = style_features(net, speech, FRAMES)[test], rng.permutation(len(test))

    def opening_r(with_content: np.ndarray, with_style: np.ndarray) -> float:
        return correlation(whole_face(net, with_style, with_content)[:, 12], face[test, 12])

    right = opening_r(content[test], style)
    shuffled, swapped = opening_r(content[test], style[order]), opening_r(content[test][order], style)
    assert right > 0.7 and shuffled > 0.8 * right, (right, shuffled)
    assert swapped < 0.6 * right, (right, swapped)


def test_style_is_kept_only_where_it_helps(fitted: Subject) -> None:
    figures = Priors.load(fitted.folder / "priors.safetensors").facts["figures"]
    features = subject_features(fitted.folder)
    assert figures["style_used"] == (figures["style_error_ratio"] < 1)
    assert features.present[0].tolist() == [1, 1, figures["style_used"], 1]
    assert bool(np.any(features.style)) == figures["style_used"]


def test_without_style_content_speaks_alone(fitted: Subject) -> None:
    track, speech = fitted.track(), fitted.speech()
    content = subject_features(fitted.folder).content
    face = np.concatenate([track.lower, track.upper], axis=1)
    config = StyleConfig(steps=4, batch=4)
    net = fit_style(speech, content, face, range(500), config, np.random.default_rng(0), with_style=False)
    style = style_features(net, speech, FRAMES)
    assert style.any()
    np.testing.assert_array_equal(whole_face(net, style, content), whole_face(net, 0 * style, content))


def test_a_style_that_did_not_help_is_not_given_to_the_avatar(fitted: Subject) -> None:
    priors = Priors.load(fitted.folder / "priors.safetensors")
    features = []
    for used in (1.0, 0.0):
        priors.style.used.fill_(used)
        features.append(priors.features(fitted.speech(), 50))
    assert features[0].style.any() and not features[1].style.any()
    assert [f.present[0, 2] for f in features] == [1, 0]
    np.testing.assert_array_equal(features[0].lower, features[1].lower)  # the lips' share of style is another question
