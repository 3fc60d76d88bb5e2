"""``ua3dtalk demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import output_folder
from ua3dtalk.cli.results import table
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Demo(Command):
    """Make a talking avatar of the embedded synthetic subject: every stage, offline, in minutes."""

    out: Path = Path("demo")
    """Folder for everything that is made."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""

    when_stopped = "Run the same command again: finished steps are kept."

    def run(self, progress: Progress) -> Report:
        out = output_folder(self.out, "--out")
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.demo import DemoPlaces, run_demo

        values = run_demo(out, device=device, progress=progress)
        places = DemoPlaces(out)
        text = f"Everything is in {out}.\nNext: ua3dtalk view {places.avatar} --audio {places.speech}"
        return Report(f"{table(values)}\n{text}", values)
