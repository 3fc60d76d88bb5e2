"""``ua3dtalk verify``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Verify(Command):
    """Say whether a video or a PLY carries the mark of generated media, and what it says of its making."""

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """A video, or a .ply file."""

    def run(self, progress: Progress) -> Report:
        from ua3dtalk.media.marks import read_mark

        mark = read_mark(self.file)
        verdict = (
            f"{self.file} says that it was made by a machine."
            if mark.ai_generated
            else f"{self.file} says nothing about its making. That proves nothing: metadata is easily lost."
        )
        lines = [f"  {name}: {value}" for name, value in mark.says.items()]
        return Report("\n".join([verdict, *lines]), {"file": str(self.file), **asdict(mark)}, ready=mark.ai_generated)
