"""What module E brings: ours, the code-book off, and noise in place of the teacher, on held-out frames.

    python benchmarks/emotion_ablation.py SUBJECT --out DIR [--seeds 2] [--max-steps 1500] [--set KEY=VALUE ...]

*noise*: labels are forgotten, and what the teacher hears are smooth random embeddings of its own mean and spread, while
priors are fitted, in training and on the held-out frames. Trained and measured by the machinery of `ua3dtalk ablate`,
whose options of the same names apply; goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ua3dtalk.core.files import read_json, write_json
from ua3dtalk.core.progress_lines import LineProgress
from ua3dtalk.priors.emotion_teacher import EmotionTeacher, HeardEmotion
from ua3dtalk.recipes.ablation.runs import AblationPlan, run_ablations
from ua3dtalk.recipes.ablation.subject import INDEX
from ua3dtalk.subject.store import Subject

SMOOTH_FRAMES = 12.0
"""Deviation of the smoothing: about as slow as what the teacher hears."""
SHOWN = (
    "aue_upper.value",
    "aue_lower.value",
    "e_fid.value",
    "emotion_accuracy.value",
    "lmd_px",
    "head.psnr_db",
    "opening.corr",
)


@contextmanager
def noise_for_a_teacher() -> Iterator[None]:
    """Within, every teacher hears noise."""
    real = EmotionTeacher.hear

    def hear(self: EmotionTeacher, *given: Any, **named: Any) -> HeardEmotion:
        heard = real(self, *given, **named)
        raw = np.random.default_rng(0).normal(size=heard.embedding.shape)
        smooth = gaussian_filter1d(raw, SMOOTH_FRAMES, axis=0)
        noise = heard.embedding.mean(0) + smooth / smooth.std(0) * heard.embedding.std(0)
        return replace(heard, embedding=noise.astype(np.float32))

    EmotionTeacher.hear = hear  # type: ignore[method-assign]
    try:
        yield
    finally:
        EmotionTeacher.hear = real  # type: ignore[method-assign]


def without_labels(subject: Path, folder: Path) -> Path:
    """The subject, linked, without its labels and without priors."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in subject.resolve().iterdir():
        link = folder / source.name
        if source.name not in (INDEX, "priors.safetensors") and not link.exists():
            link.symlink_to(source, target_is_directory=source.is_dir())
    index = read_json(subject / INDEX)
    index["stages"].pop("priors", None)
    index["source"]["labels"] = []
    write_json(folder / INDEX, index)
    assert not Subject.open(folder).labels, "labels are kept elsewhere now"
    return folder


def numbers(report: Path) -> dict[str, dict[str, float]]:
    """What a cell's report says of expression, by row and metric."""
    rows = read_json(report)["rows"]
    return {name: flat(rows[name]) for name in ("driven", "audio-only")}


def flat(node: Any, path: str = "") -> dict[str, float]:
    """All numbers of a tree by dotted name."""
    if isinstance(node, dict):
        return {k: v for key, value in node.items() for k, v in flat(value, f"{path}.{key}" if path else key).items()}
    return {path: float(node)} if isinstance(node, int | float) and not isinstance(node, bool) else {}


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--max-steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=["init.face_count=3000"])
    parser.add_argument("--only", nargs="*", default=list(SHOWN), help="metrics to print, by part of their name")
    options = parser.parse_args()
    overrides = {key: json.loads(value) for key, value in (item.split("=", 1) for item in options.set)}
    plan = AblationPlan(
        rows=("ours", "ours-no-E"), seeds=options.seeds, max_steps=options.max_steps, overrides=overrides
    )
    progress = LineProgress(lambda line: print(line, file=sys.stderr, flush=True))
    run_ablations(options.subject, options.out / "real", plan, workers=options.workers, progress=progress)
    bare = without_labels(options.subject, options.out / "subject-without-labels")
    with noise_for_a_teacher():
        noisy = replace(plan, rows=("ours",))
        run_ablations(bare, options.out / "noise", noisy, workers=options.workers, progress=progress)
    cells = {
        "ours": options.out / "real/ours",
        "code-book off": options.out / "real/ours-no-E",
        "noise for a teacher": options.out / "noise/ours",
    }
    table: dict[str, dict[str, list[float]]] = {}
    for name, folder in cells.items():
        for seed in range(options.seeds):
            for row, found in numbers(folder / f"seed{seed}/report/metrics.json").items():
                for key, value in found.items():
                    if any(part in key for part in options.only):
                        table.setdefault(f"{row}: {key}", {}).setdefault(name, []).append(value)
    for key, columns in table.items():
        shown = ", ".join(f"{name} {fmean(v):.3f} ± {stdev(v) if len(v) > 1 else 0:.3f}" for name, v in columns.items())
        sys.stdout.write(f"{key}: {shown}\n")


if __name__ == "__main__":
    main()
