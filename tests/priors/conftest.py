"""A teacher for tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_speaker import LABELS

from ua3dtalk.priors.emotion_model import EmotionNet
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.speech_features import PhoneEncoder


@pytest.fixture(scope="session")
def teacher() -> EmotionTeacher:
    """An untrained teacher: the mechanics are tested, not the hearing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = EmotionNet(len(LABELS))
        return EmotionTeacher(net, LABELS, torch.randn(len(LABELS), 128) * 0.3, PhoneEncoder().name, {})


@pytest.fixture(scope="session")
def teacher_path(teacher: EmotionTeacher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same teacher as a file."""
    path = tmp_path_factory.mktemp("teacher") / "emotion.safetensors"
    teacher.save(path)
    return path
