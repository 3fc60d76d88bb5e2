"""Noise is heard, unusual streams are named, and calm is given where speech cannot be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ua3dtalk.avatar.conditions import STREAMS
from ua3dtalk.avatar.familiarity import Familiarity
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.speech_features import log_mel
from ua3dtalk.synthesis.doubts import NOISY_DB, calmer, clarity_db, find_doubts
from ua3dtalk.synthesis.drive import Drive, make_drive
from ua3dtalk.synthesis.options import SynthesisOptions


def mel(samples: np.ndarray) -> np.ndarray:
    return log_mel(samples, 0, len(samples) // 160)


@pytest.fixture(scope="module")
def drive(fakes: Any) -> Drive:
    samples = fakes.voice(20.0)
    avatar = fakes.Avatar()
    return make_drive(avatar, fakes.speech(samples), 500, SynthesisOptions(), np.random.default_rng(0))


@pytest.fixture(scope="module")
def usual(drive: Drive) -> Familiarity:
    return Familiarity.fit(drive.conditions, np.arange(500), ContentPrior.load())


@pytest.mark.parametrize(("noise_db", "low", "high"), [(60, 40, 80), (20, 15, 27), (0, 0, 10)])
def test_clarity_is_speech_over_noise(fakes: Any, noise_db: float, low: float, high: float) -> None:
    samples = fakes.voice(8.0)
    noise = np.random.default_rng(1).normal(size=len(samples)) * samples[samples != 0].std() * 10 ** (-noise_db / 20)
    found = clarity_db(mel((samples + noise).astype(np.float32)), 200)
    assert found.shape == (200,) and low < np.median(found) < high


def test_a_pause_is_not_noise(fakes: Any) -> None:
    samples = fakes.voice(12.0)
    samples[16000 * 3 : 16000 * 9] = 0
    assert clarity_db(mel(samples), 300).min() > NOISY_DB


def test_noise_is_told_first(fakes: Any, drive: Drive, usual: Familiarity) -> None:
    hiss = (0.1 * np.random.default_rng(2).normal(size=16000 * 20)).astype(np.float32)
    doubts = find_doubts(drive, mel(hiss), usual)
    assert doubts.least_trusted(100) == "audio" and doubts.why(100)[0] == "noisy audio"
    assert doubts.confidence.max() < 0.5


def test_reasons_come_from_streams_and_from_the_forecast(fakes: Any, drive: Drive, usual: Familiarity) -> None:
    content = drive.conditions.content.mean(0).repeat(500, 1)
    strange = replace(drive, conditions=replace(drive.conditions, content=content))
    doubts = find_doubts(strange, mel(fakes.voice(20.0)), usual)
    assert doubts.least_trusted(200) == "content" and doubts.why(200) == ["empty speech features"]
    assert doubts.why(200, {"pose": 1.0}) == ["empty speech features", "pose outside the training range"]
    unknown = find_doubts(drive, mel(fakes.voice(20.0)), None)
    assert unknown.why(200) == [] and unknown.least_trusted(200) is None and unknown.confidence.min() == 1
    assert unknown.why(200, {"pose": 0.9}) == []


def test_an_emotion_that_was_asked_for_may_change(drive: Drive, usual: Familiarity) -> None:
    emotion = drive.conditions.emotion.clone()
    emotion[200:] += 3 * emotion.std(0) + 1
    emotion[::2] += 3 * emotion.std(0) + 1
    track, s = replace(drive.conditions, emotion=emotion), STREAMS.index("emotion")
    heard, asked = usual.judge(track), usual.judge(track, asked=True)
    assert (heard.scores[:, s] >= asked.scores[:, s]).all() and heard.scores[:, s].mean() > asked.scores[:, s].mean()
    jump = [k for k, name in enumerate(asked.names) if name == ("emotion", "jump")]
    assert (heard.kinds[:, s] == jump[0]).any() and not (asked.kinds[:, s] == jump[0]).any()


def test_calm_comes_where_confidence_is_low_and_nowhere_else(fakes: Any, drive: Drive, usual: Familiarity) -> None:
    doubts = replace(find_doubts(drive, mel(fakes.voice(20.0)), usual), confidence=np.ones(500))
    doubts.confidence[200:300] = 0.0
    calm = calmer(drive, doubts, usual, 0.2).conditions.lower
    assert torch.allclose(calm[:180], drive.conditions.lower[:180], atol=1e-4)
    mean = drive.conditions.lower.mean(0)
    assert torch.allclose(calm[210:290], mean.expand(80, 13), atol=1e-4)
    assert (calm[1:] - calm[:-1]).norm(dim=1).max() <= (drive.conditions.lower[1:] - drive.conditions.lower[:-1]).norm(
        dim=1
    ).max() * 1.5
    with pytest.raises(UserError, match="--min-confidence"):
        calmer(drive, doubts, None, 0.2)
