"""``ua3dtalk view``."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_file, existing_folder
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class View(Command):
    """Show an avatar in the browser: live, from any side, with sound. Ctrl-C ends it."""

    avatar: Positional[Annotated[Path, arg(metavar="AVATAR")]]
    """What `ua3dtalk train` made."""
    audio: Annotated[Path | None, arg(metavar="SPEECH")] = None
    """What it says at first; more can be loaded in the page."""
    port: int = 8080
    """Port of the page."""
    host: str = "127.0.0.1"
    """Address of the page; 127.0.0.1 can be reached from this machine only."""
    folder: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Recordings in it can be opened in the page by name; the current folder if not given. Only on 127.0.0.1."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Where the speech model lies that the subject was prepared with, if it has moved."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""

    def run(self, progress: Progress) -> Report:
        avatar = existing_folder(self.avatar, "the avatar", "avatar.json", "train SUBJECT --out AVATAR")
        audio = existing_file(self.audio, "--audio") if self.audio else None
        folder = self.folder or Path.cwd()
        if not folder.is_dir():
            raise UserError(f"--folder {folder} is not a folder.", "Name the folder that holds your recordings.")
        if importlib.util.find_spec("viser") is None:
            raise UserError("The viewer needs viser.", "Install it: pip install 'ua3dtalk[viewer]'.")
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.viewer.open import open_viewer

        with open_viewer(
            avatar,
            audio,
            host=self.host,
            port=self.port,
            folder=folder,
            speech_encoder=self.speech_encoder,
            device=device,
        ) as viewer:
            viewer.serve()
            return Report("The viewer is closed.", {"address": viewer.address})
