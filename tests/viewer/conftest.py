"""The shared small avatar, loaded once, with the speech that its viewer starts with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.speech import Speech, load_speech

FACE_GAUSSIANS = 3000
"""A browser that draws by software is slow with all of them."""


@pytest.fixture(scope="session")
def avatar(small_avatar: Path) -> Avatar:
    # Patterns of motion belong to all Gaussians: fewer are moved exactly.
    avatar = load_avatar(small_avatar / "avatar", NumbaRasterizer(), torch.device("cpu"), exact=True)
    whole = avatar.layers["face"]
    keep = torch.linspace(0, len(whole.gaussians) - 1, FACE_GAUSSIANS).long()
    face = AvatarLayer.template(FACE_GAUSSIANS, whole.gaussians.sh_degree, whole.motion.config)
    face.motion.load_state_dict(whole.motion.state_dict())
    face.gaussians.load_state_dict({name: value[keep] for name, value in whole.gaussians.state_dict().items()})
    face.mesh_basis.copy_(whole.mesh_basis[keep])
    avatar.layers["face"] = face.eval()
    return avatar


@pytest.fixture(scope="session")
def encoder() -> PhoneEncoder:
    return PhoneEncoder()


@pytest.fixture(scope="session")
def speech(small_avatar: Path, encoder: PhoneEncoder) -> Speech:
    return load_speech(small_avatar / "speech.wav", encoder)


@pytest.fixture
def viewer(avatar: Avatar, speech: Speech, encoder: PhoneEncoder) -> Iterator[ViewerServer]:
    viewer = ViewerServer(Session(avatar, speech), encoder, port=0)
    yield viewer
    viewer.close()
