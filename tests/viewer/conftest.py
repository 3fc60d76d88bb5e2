"""The shared small avatar, loaded once, with the speech that its viewer starts with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.viewer.speech import Speech, load_speech


@pytest.fixture(scope="session")
def avatar(small_avatar: Path) -> Avatar:
    return load_avatar(small_avatar / "avatar", NumbaRasterizer(), torch.device("cpu"))


@pytest.fixture(scope="session")
def encoder() -> PhoneEncoder:
    return PhoneEncoder()


@pytest.fixture(scope="session")
def speech(small_avatar: Path, encoder: PhoneEncoder) -> Speech:
    return load_speech(small_avatar / "speech.wav", encoder)
