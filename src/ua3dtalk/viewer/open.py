"""Opens the viewer on an avatar folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ua3dtalk.avatar.storage import load_avatar, read_index
from ua3dtalk.core.progress import log
from ua3dtalk.priors.speech_choice import open_encoder
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.viewer.door import check_address, is_loopback
from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.speech import load_speech, silence


@contextmanager
def open_viewer(
    avatar: Path,
    audio: Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    folder: Path | None = None,
    speech_encoder: str | None = None,
    device: torch.device | None = None,
) -> Iterator[ViewerServer]:
    """The page of an avatar, for the length of a ``with`` block.

    Args:
        avatar: Avatar folder.
        audio: What it says at first; None for nothing.
        host: Address to serve; others than loopback are warned about.
        port: Port to serve; 0 takes any free one.
        folder: Recordings in it can be opened by name; None for no such way.
        speech_encoder: ``MODEL[:LAYER]``, where the avatar's speech model lies if it has moved.
        device: Where to compute; None is the CPU.

    Raises:
        UserError: the port is in use, the avatar or the recording cannot be used.
    """
    check_address(host, port)  # before anything takes long
    if not is_loopback(host):
        log.warning("Anyone who can reach %s:%d can use this page and load files into it.", host, port)
    target = device or torch.device("cpu")
    loaded = load_avatar(avatar, make_rasterizer(target), target)
    encoder = open_encoder(speech_encoder or loaded.priors.model, loaded.priors.encoder)
    speech = silence(encoder) if audio is None else load_speech(audio, encoder)
    title = f"UA-3DTalk · {avatar.resolve().name}"
    session = Session(loaded, speech, subject_sha256=read_index(avatar)["subject_sha256"])
    viewer = ViewerServer(session, encoder, host=host, port=port, folder=folder, title=title)
    try:
        yield viewer
    finally:
        viewer.close()
