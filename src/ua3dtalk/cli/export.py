"""``ua3dtalk export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_folder, output_file
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Write one frame of an avatar as a standard 3D Gaussian splatting PLY."""

    avatar: Positional[Annotated[Path, arg(metavar="AVATAR")]]
    """What `ua3dtalk train` made."""
    out: Annotated[Path, arg(metavar="HEAD.ply")]
    """The file to write."""
    frame: int = 0
    """Which frame of the subject, from 0."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""

    def run(self, progress: Progress) -> Report:
        avatar = existing_folder(self.avatar, "the avatar", "avatar.json", "train SUBJECT --out AVATAR")
        out = output_file(self.out, ".ply", "--out")
        if self.frame < 0:
            raise UserError(f"--frame {self.frame} does not exist.", "Count from 0.")
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.export import export_ply

        export_ply(avatar, out, frame=self.frame, device=device)
        return Report(f"Frame {self.frame} is in {out}.", {"out": str(out), "frame": self.frame})
