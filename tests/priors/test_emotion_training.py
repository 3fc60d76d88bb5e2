"""Training the emotion teacher: it learns, repeats itself bit for bit, and its parts do what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_discriminant import fit_discriminant, fit_shares
from ua3dtalk.priors.emotion_scores import area_under_curve, average_recall, calibration_error, speaker_interval
from ua3dtalk.priors.emotion_teacher import KIND, SHIPPED, EmotionTeacher
from ua3dtalk.priors.emotion_training import EmotionConfig, Utterance, train_emotion

CONFIG = EmotionConfig(epochs=6, versions=1, folds=2, batch=8)


def said(label: str, speaker: int, rng: np.random.Generator, strong: bool = False) -> Utterance:
    """A pulse train in two syllables: anger is high and bright, strong anger more so."""
    hz = {"neutral": 120.0, "angry": 300.0}[label] * (1 + 0.05 * speaker) * (1.15 if strong else 1)
    t = np.arange(12000) / 16000
    harmonics = np.arange(1, 13)
    tilt = {"neutral": 2.0, "angry": 1.0}[label] - (0.3 if strong else 0)
    wave = (np.sin(2 * np.pi * hz * np.outer(t, harmonics)) / harmonics**tilt).sum(axis=1)
    wave *= 0.05 * (0.4 + np.sin(2 * np.pi * 3 * t) ** 2)
    sound = (wave + rng.normal(0, 0.003, len(t))).astype(np.float32)
    return Utterance(speaker=str(speaker), label=label, audio=sound, intensity=float(strong))


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    rng = np.random.default_rng(0)
    kinds = (("neutral", False), ("angry", False), ("angry", True))
    return [said(label, s, rng, strong) for s in range(3) for label, strong in kinds for _ in range(2)]


@pytest.fixture(scope="module")
def trained(utterances: list[Utterance], tmp_path_factory: pytest.TempPathFactory) -> tuple[EmotionTeacher, Path]:
    path = tmp_path_factory.mktemp("trained") / "emotion.safetensors"
    return train_emotion(utterances, path, CONFIG), path


def test_it_learns_labels_and_intensity(trained: tuple[EmotionTeacher, Path]) -> None:
    facts = trained[0].facts
    assert facts["uar_held_out_speakers"] > 0.9 and facts["intensity_auc"] > 0.9
    assert facts["calibration_error"] < 0.2 and facts["uar_interval"][0] <= facts["uar_held_out_speakers"]


def test_what_is_saved_is_what_was_trained(trained: tuple[EmotionTeacher, Path]) -> None:
    again = EmotionTeacher.load(trained[1])
    np.testing.assert_array_equal(again.centroids, trained[0].centroids)
    for name, tensor in trained[0].tensors().items():
        assert torch.equal(again.tensors()[name], tensor), name


def test_training_repeats_itself_bit_for_bit(
    trained: tuple[EmotionTeacher, Path], utterances: list[Utterance], tmp_path: Path
) -> None:
    again = train_emotion(utterances, tmp_path / "again.safetensors", CONFIG)
    assert again.header() == trained[0].header()
    for name, tensor in trained[0].tensors().items():
        assert torch.equal(again.tensors()[name], tensor), name


def test_neutral_speech_is_needed(utterances: list[Utterance]) -> None:
    with pytest.raises(UserError, match="neutral"):
        train_emotion([u for u in utterances if u.label == "angry"])


def test_a_blink_of_sound_is_refused(utterances: list[Utterance]) -> None:
    short = Utterance(speaker="9", label="angry", audio=utterances[0].audio[:1600])
    with pytest.raises(UserError, match="frames of 10 ms"):
        train_emotion([*utterances, short], config=CONFIG)


def test_a_teacher_of_an_older_version_is_refused(tmp_path: Path) -> None:
    tensors, header = load_tensors(SHIPPED, kind=KIND)
    del header["version"]
    save_tensors(tmp_path / "old.safetensors", tensors, kind=KIND, header=header)
    with pytest.raises(UserError, match="version 1, this is version") as caught:
        EmotionTeacher.load(tmp_path / "old.safetensors")
    assert "train" in caught.value.cure


def test_discriminant_finds_the_direction_of_two_clouds() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=4000)
    x = rng.normal(size=(4000, 3)) @ np.diag([1, 2, 1]) + np.outer(label, [1.0, 0.0, 0.0])
    weights, constants = fit_discriminant(torch.from_numpy(x).float(), label, np.ones(4000))
    odds = (torch.from_numpy(x).float() @ weights + constants).numpy()
    direction = (weights[:, 1] - weights[:, 0]).numpy()
    assert abs(direction[1]) < 0.1 * direction[0] and abs(direction[2]) < 0.1 * direction[0]
    assert average_recall(odds, label) == pytest.approx(0.69, abs=0.02)  # half a deviation from the middle: .691


def test_shares_calibrate() -> None:
    rng = np.random.default_rng(0)
    clear = rng.normal(size=(3000, 3))
    powers = np.exp(clear)
    drawn = (powers.cumsum(axis=1) / powers.sum(axis=1, keepdims=True) < rng.random((3000, 1))).sum(axis=1)
    share_network, share_votes = fit_shares(rng.normal(size=(3000, 3)), 5 * clear, drawn)
    assert share_network < 0.1 and share_votes == pytest.approx(0.2, abs=0.03)  # over-confident by 5


def test_scores_against_counting_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    truth = np.array([0, 0, 1, 1])
    assert average_recall(probabilities, truth) == pytest.approx(0.75)
    assert calibration_error(probabilities, truth) == pytest.approx((0.1 + 0.4 + 0.3 + 0.8) / 4)
    assert area_under_curve(np.array([3.0, 1.0, 2.0, 0.0]), np.array([1, 1, 0, 0])) == pytest.approx(0.75)
    assert np.isnan(area_under_curve(np.zeros(2), np.ones(2)))
    low, high = speaker_interval(lambda i: float(truth[i].mean()), np.array([0, 1, 2, 3]))
    assert 0 <= low < 0.5 < high <= 1
