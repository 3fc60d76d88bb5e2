"""``ua3dtalk evaluate-video``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_file, output_folder
from ua3dtalk.cli.results import grid
from ua3dtalk.core.progress import Progress

COLUMNS = {
    "PSNR": "regions.full.psnr_db.mean",
    "head PSNR": "regions.head.psnr_db.mean",
    "SSIM": "regions.full.ssim.mean",
    "LMD px": "lmd_px.mean",
    "opening r": "opening.correlation",
    "amplitude": "opening.amplitude",
    "lag": "opening.lag_frames",
}


@dataclass(frozen=True, kw_only=True)
class EvaluateVideo(Command):
    """Measure any system's video against the real one, with the metrics of `evaluate`."""

    reference: Annotated[Path, arg(metavar="A.mp4")]
    """The real video."""
    video: Annotated[Path, arg(metavar="B.mp4")]
    """The video that should look like it, from the same start."""
    out: Annotated[Path, arg(metavar="REPORT")]
    """Folder for metrics.json, index.html and pictures."""
    weights: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder with weights of optional metrics: lpips_alex, lpips_vgg, syncnet_v2 (.safetensors), arcface.onnx."""
    seed: int = 0
    """Seed of the intervals."""

    def run(self, progress: Progress) -> Report:
        reference = existing_file(self.reference, "--reference")
        video = existing_file(self.video, "--video")
        out = output_folder(self.out, "--out")
        from ua3dtalk.recipes.evaluate_video import evaluate_video
        from ua3dtalk.recipes.measures import MeasureOptions

        options = MeasureOptions(weights=self.weights, seed=self.seed)
        values = evaluate_video(reference, video, out, options=options, seed=self.seed, progress=progress)
        values = {name: value for name, value in values.items() if name != "curves"}
        return Report(f"{grid(values.get('rows', {}), COLUMNS)}\nThe report is {out / 'index.html'}.", values)
