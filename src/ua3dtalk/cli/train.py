"""``ua3dtalk train``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_folder, output_folder
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Train an avatar from a subject folder."""

    subject: Positional[Annotated[Path, arg(metavar="SUBJECT")]]
    """What `ua3dtalk prepare` made."""
    out: Annotated[Path, arg(metavar="AVATAR")]
    """The avatar folder to write."""
    preset: Literal["quick", "standard", "paper"] = "quick"
    """quick: minutes on two cores; standard: better, an hour or more; paper: the published schedule, for a GPU."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""
    max_steps: Annotated[int | None, arg(metavar="STEPS")] = None
    """A shorter training: this many steps in all, every stage shortened in proportion."""
    seed: int = 0
    """Seed of everything random: the same seed gives the same avatar on a CPU."""
    resume: bool = False
    """Go on with an interrupted training; the result is the same as if it had not been interrupted."""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FIELD=VALUE")] = ()
    """Change one field of the preset by its path, e.g. --set face.covariance=full; may be repeated."""

    when_stopped = "Go on with the same command and --resume."

    def run(self, progress: Progress) -> Report:
        subject = existing_folder(self.subject, "the subject", "subject.json", "prepare VIDEO --out SUBJECT")
        out = output_folder(self.out, "--out")
        overrides = parse_overrides(self.set)
        if self.max_steps is not None and self.max_steps < 1:
            raise UserError(f"--max-steps {self.max_steps} leaves nothing.", "Use 1 or more.")
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.presets import preset
        from ua3dtalk.recipes.train import train_avatar

        config = preset(self.preset, seed=self.seed, max_steps=self.max_steps, overrides=overrides)
        avatar = train_avatar(
            subject,
            out,
            config,
            device=device,
            resume=self.resume,
            progress=progress,
        )
        text = f"The avatar is in {avatar}.\nNext: ua3dtalk synthesize {avatar} --audio SPEECH --out OUT.mp4"
        return Report(text, {"avatar": str(avatar), "preset": self.preset, "seed": self.seed})


def parse_overrides(settings: Sequence[str]) -> dict[str, Any]:
    """``FIELD=VALUE`` settings by field; a value is read as JSON where it is JSON, else as text.

    Raises:
        UserError: a setting has no ``=`` or no field, or a field is set twice.
    """
    overrides: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise UserError(f"--set {setting!r} is not FIELD=VALUE.", "For example: --set face.covariance=full.")
        if name in overrides:
            raise UserError(f"--set {name} is given twice.", "Give it once.")
        try:
            overrides[name] = json.loads(text)
        except json.JSONDecodeError:
            overrides[name] = text
    return overrides
