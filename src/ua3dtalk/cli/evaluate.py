"""``ua3dtalk evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_folder, output_folder
from ua3dtalk.cli.results import grid
from ua3dtalk.core.progress import Progress

COLUMNS = {
    "head PSNR": "regions.head.psnr_db.mean",
    "mouth over static": "mouth_gain_db",
    "opening r": "opening.correlation",
    "amplitude": "opening.amplitude",
    "lag": "opening.lag_frames",
}


@dataclass(frozen=True, kw_only=True)
class Evaluate(Command):
    """Measure an avatar on the frames that were held out of its training."""

    avatar: Positional[Annotated[Path, arg(metavar="AVATAR")]]
    """What `ua3dtalk train` made."""
    out: Annotated[Path, arg(metavar="REPORT")]
    """Folder for metrics.json, index.html and pictures."""
    subject: Annotated[Path | None, arg(metavar="SUBJECT")] = None
    """The subject folder, if it was moved since the training."""
    weights: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder with weights of optional metrics: lpips_alex, lpips_vgg, syncnet_v2 (.safetensors), arcface.onnx."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Where the speech model lies that the subject was prepared with, if it has moved."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""
    seed: int = 0
    """Seed of the intervals."""

    def run(self, progress: Progress) -> Report:
        avatar = existing_folder(self.avatar, "the avatar", "avatar.json", "train SUBJECT --out AVATAR")
        out = output_folder(self.out, "--out")
        subject = self.subject
        if subject is not None:
            existing_folder(subject, "--subject", "subject.json", "prepare VIDEO --out SUBJECT")
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.evaluate import evaluate_avatar
        from ua3dtalk.recipes.measures import MeasureOptions

        options = MeasureOptions(weights=self.weights, seed=self.seed)
        values = evaluate_avatar(
            avatar,
            out,
            subject=subject,
            options=options,
            speech_encoder=self.speech_encoder,
            device=device,
            seed=self.seed,
            progress=progress,
        )
        values = {name: value for name, value in values.items() if name != "curves"}
        return Report(f"{grid(values.get('rows', {}), COLUMNS)}\nThe report is {out / 'index.html'}.", values)
