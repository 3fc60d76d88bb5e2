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
    """Write frames of an avatar as standard 3D Gaussian splatting PLYs."""

    avatar: Positional[Annotated[Path, arg(metavar="AVATAR")]]
    """What `ua3dtalk train` made."""
    out: Annotated[Path, arg(metavar="HEAD.ply")]
    """The file to write; with --count the frame's number is added to its name."""
    frame: int = 0
    """Which frame of the subject, from 0."""
    count: int = 1
    """How many frames from there on, one file each: HEAD_00000.ply, HEAD_00001.ply, ..."""
    no_provenance: bool = False
    """Leave out the mark that says the splats were made by a machine; that is logged."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""

    def run(self, progress: Progress) -> Report:
        avatar = existing_folder(self.avatar, "the avatar", "avatar.json", "train SUBJECT --out AVATAR")
        out = output_file(self.out, ".ply", "--out")
        if self.frame < 0:
            raise UserError(f"--frame {self.frame} does not exist.", "Count from 0.")
        if self.count < 1:
            raise UserError(f"--count {self.count} leaves nothing.", "Use 1 or more.")
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.export import export_ply

        marked = not self.no_provenance
        files = export_ply(avatar, out, frame=self.frame, count=self.count, marked=marked, device=device)
        last = self.frame + self.count - 1
        one = f"Frame {self.frame} is in {out}."
        text = one if self.count == 1 else f"Frames {self.frame} to {last} are in {files[0]} to {files[-1].name}."
        values = {"out": str(out), "frame": self.frame, "files": [str(path) for path in files], "marked": marked}
        return Report(text, values)
