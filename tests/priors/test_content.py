"""Content: ridge in closed form, person's fit, offset, silence, training, speech stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_speaker import made_opening, made_speech, made_subject, made_track

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.content import SHIPPED, ContentPrior, voice_activity
from ua3dtalk.priors.content_training import ContentClip, ContentConfig, train_content
from ua3dtalk.priors.context import CONTEXT_SIZE, LOUDNESS_STEPS, STEPS, apply_to_context, phone_context
from ua3dtalk.priors.lip_targets import lip_shapes, project
from ua3dtalk.priors.offset import find_offset
from ua3dtalk.priors.person import agreement, amplitude_gain, make_folds, map_weights
from ua3dtalk.priors.silence import close_in_silence, quiet_weight
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.priors.speech_stage import run_speech_stage
from ua3dtalk.subject.speech_data import SpeechFeatures


def test_map_ridge_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(60, 7)), np.ones((60, 1))], axis=1)
    y, start = rng.normal(size=(60, 3)), rng.normal(size=(8, 3))
    got = map_weights(x, y, start, 5.0)
    penalty = np.diag([5.0] * 7 + [1e-3])
    want = np.linalg.solve(x.T @ x + penalty, x.T @ y + penalty @ start)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    # Much data forgets the start, none keeps it.
    np.testing.assert_allclose(map_weights(x[:0], y[:0], start, 5.0), start, atol=1e-6)


def test_context_blocks_agree_with_one_piece() -> None:
    speech = made_speech(50)
    times_s = np.arange(1200) / 25
    weights = np.random.default_rng(0).normal(size=(CONTEXT_SIZE, 3)).astype(np.float32)
    want = phone_context(speech, times_s) @ weights
    np.testing.assert_allclose(apply_to_context(speech, times_s, weights), want, atol=1e-4)


def test_context_is_centred() -> None:
    phones = np.zeros((301, 42), np.float32)
    phones[150, 7] = 1
    speech = SpeechFeatures(phones, np.zeros((301, 80), np.float32), np.zeros((301, 9), np.float32), encoder="x")
    row = phone_context(speech, np.array([1.5]))[0, : STEPS * 42].reshape(STEPS, 42)
    assert row[:, 7].argmax() == STEPS // 2


def test_loudness_is_centred_and_knows_no_level() -> None:
    mel = np.full((301, 80), -8.0, np.float32)
    mel[150] = -4
    phones = np.full((301, 42), 1 / 42, np.float32)
    voice = np.zeros((301, 9), np.float32)
    rows = [
        phone_context(SpeechFeatures(phones, mel + louder, voice, encoder="x"), np.array([1.5]))[0, STEPS * 42 : -1]
        for louder in (0.0, 3.0)
    ]
    assert len(rows[0]) == LOUDNESS_STEPS and rows[0].argmax() == LOUDNESS_STEPS // 2
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-4)


def test_folds_cover_all_frames_and_keep_away() -> None:
    folds = make_folds(list(range(400)))
    assert sorted(i for f in folds for i in f.held) == list(range(400))
    for fold in folds:
        distance = np.abs(np.asarray(fold.fit)[:, None] - np.asarray(fold.held)[None]).min()
        assert distance > 16


def test_gain_restores_amplitude_where_there_is_something_to_amplify() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 13))
    noise = rng.normal(size=(4000, 13))
    good = 0.36 * y + 0.48 * noise * 0.6 / 0.6  # r = .6
    gain = amplitude_gain(good, y)
    r = np.corrcoef(good[:, 0], y[:, 0])[0, 1]
    assert gain[0] * good[:, 0].std() / y[:, 0].std() == pytest.approx(r**0.25, rel=1e-3)
    assert (amplitude_gain(noise, y) * noise.std() < 0.15).all()


@pytest.mark.parametrize("planted", [-6.0, 0.0, 3.5])
def test_a_planted_offset_is_found(planted: float) -> None:
    rng = np.random.default_rng(1)
    fine = np.convolve(rng.normal(size=(1500)), np.hanning(11), "same")[:, None] * np.ones((1, 14))
    index = (np.arange(600) * 2 + round(2 * planted)).clip(0, 1499)
    found = find_offset(fine, fine[index] + rng.normal(0, 2, (600, 14)))
    assert found.accepted and found.frames == pytest.approx(planted, abs=0.5)


def test_noise_has_no_offset() -> None:
    rng = np.random.default_rng(2)
    found = find_offset(rng.normal(size=(1000, 14)), rng.normal(size=(500, 14)))
    assert not found.accepted and found.applied_frames == 0


def test_silence_closes_the_mouth_smoothly() -> None:
    voiced = np.ones(100, np.float32)
    voiced[40:70] = 0
    voiced[85:88] = 0  # too short a pause
    weight = quiet_weight(voiced)
    assert weight[50:60].min() == pytest.approx(1) and weight[:39].max() == 0 and weight[80:].max() == 0
    assert np.abs(np.diff(weight)).max() <= 0.21
    rest = np.full(13, -1, np.float32)
    closed = close_in_silence(np.ones((100, 13), np.float32), voiced, rest)
    assert (closed[52] == -1).all() and (closed[10] == 1).all()


def test_the_shipped_prior_knows_vowels_and_bilabials() -> None:
    prior = ContentPrior.load()
    assert SHIPPED.stat().st_size < 2e5 and prior.encoder == PhoneEncoder().name
    speech = made_speech(40)
    opening = made_opening(speech, 1000)
    predicted = prior.predict(speech, np.arange(1000) / 25)[:, 12]
    assert np.corrcoef(opening, predicted)[0, 1] > 0.2  # measured .30: its phones come in no human order
    features = prior.features(speech, voice_activity(speech, 1000))
    assert features.shape == (1000, 64) and np.isfinite(features).all()
    with pytest.raises(UserError, match="other"):
        prior.predict(SpeechFeatures(speech.phones, speech.mel, speech.voice, encoder="other"), np.zeros(1))


class Canned:
    """An encoder that knows its recordings by heart."""

    name = PhoneEncoder().name

    def __init__(self, known: dict[int, SpeechFeatures]) -> None:
        self.known = known

    def encode(self, audio: np.ndarray, progress: object = None) -> SpeechFeatures:
        return self.known[len(audio)]


def test_training_finds_offsets_and_weights() -> None:
    clips, known = [], {}
    for i, late in enumerate((0.0, 2.0, -3.0, 0.0)):
        speech = made_speech(24 + i, seed=10 + i)
        known[16000 * (24 + i)] = speech
        shapes = lip_shapes(made_track(made_opening(speech, 25 * 24, late), seed=i).head_points.astype(np.float64))
        audio = np.zeros(16000 * (24 + i), np.float32)
        clips.append(ContentClip(name=str(i), speaker=str(i), audio=audio, shapes=shapes))
    prior = train_content(clips, config=ContentConfig(rounds=3), encoder=Canned(known))
    found = [row["offset_frames"] for row in prior.facts["clips"]]
    np.testing.assert_allclose(found, [0, 2, -3, 0], atol=1)
    assert prior.facts["unseen_speaker_opening_r"] > 0.7
    with pytest.raises(UserError, match="3 speakers"):
        train_content(clips[:2])


def test_speech_stage_corrects_the_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speech = made_speech(30)
    audio = np.random.default_rng(0).normal(0, 0.1, 16000 * 30).astype(np.float32)
    subject = made_subject(tmp_path, made_track(made_opening(speech, 740, 4.0)), audio)
    run_speech_stage(subject, encoder=Canned({len(audio): speech}))
    facts = subject.facts("speech")
    assert facts["speech"] == "ok" and facts["offset_frames"] == pytest.approx(4, abs=1.5)
    np.testing.assert_allclose(
        subject.speech().phones[100], speech.phones[100 + round(4 * facts["offset_frames"])], atol=1e-6
    )


@pytest.mark.parametrize("audio", [None, np.zeros(16000, np.float32)])
def test_no_sound_is_a_fact_not_a_crash(tmp_path: Path, audio: np.ndarray | None) -> None:
    subject = made_subject(tmp_path, made_track(np.random.default_rng(0).random(100)), audio)
    run_speech_stage(subject)
    assert subject.facts("speech")["speech"] == "none"
    assert not (tmp_path / "speech.npz").exists()


def test_weights_of_an_older_version_are_refused_by_name() -> None:
    prior = ContentPrior.load()
    tensors = prior.tensors() | {"weights": torch.zeros(1219, 14)}
    with pytest.raises(UserError, match="1219 inputs"):
        ContentPrior.from_tensors(tensors, prior.encoder, {})


def test_lip_targets_are_about_the_mean() -> None:
    shapes = lip_shapes(made_track(np.random.default_rng(0).random(50)).head_points.astype(np.float64))
    targets = project(shapes, ContentPrior.load().basis)
    np.testing.assert_allclose(targets.mean(axis=0), 0, atol=1e-5)
    assert targets.shape == (50, 14)


def test_components_agree_with_the_opening(rng: np.random.Generator) -> None:
    slopes = rng.standard_normal(12)
    parts = rng.standard_normal((500, 12))
    targets = np.concatenate([parts, (parts @ slopes)[:, None]], axis=1)
    predicted = targets + rng.standard_normal(targets.shape) * 0.5
    predicted[:, 3] = targets[:, 3]  # known exactly: must stay
    centre = targets.mean(axis=0)
    moved = centre + (predicted - centre) @ agreement(predicted, targets)
    np.testing.assert_allclose(moved[:, 12], predicted[:, 12])
    np.testing.assert_allclose(moved[:, 3], targets[:, 3], atol=1e-6)
    np.testing.assert_allclose(moved[:, :12] @ slopes, moved[:, 12], atol=1e-6)
