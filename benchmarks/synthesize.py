"""How fast an avatar speaks, from sound to encoded frames: by the patterns of its motion, and exactly, in one run.

    python benchmarks/synthesize.py AVATAR SPEECH [--subject SUBJECT] [--rounds 5] [--json]

Rounds of both alternate, so that other work on the machine meets both; the median counts. CPU time is that of all
threads: what a frame costs, whoever else uses the cores. *first frame* is the time from sound to the first encoded
frame after the models are loaded. *whole* is `synthesize` itself, networks, splatting and encoding overlapped, sound to
finished MP4, with loaded models. The pictures of both are compared too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.storage import load_avatar, load_poses
from ua3dtalk.core.parallel import usable_cores
from ua3dtalk.core.provenance import provenance
from ua3dtalk.evaluation.protocol import Reference, evaluate_rows
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.recipes.evaluate import RenderedRow, protocol_rows
from ua3dtalk.recipes.speed import measure_speed
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.parts import split_of
from ua3dtalk.subject.store import Subject
from ua3dtalk.synthesis.drive import frames_of, make_drive, read_speech
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.write import synthesize
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks

COMPARED = 25
"""Frames whose pictures are compared."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--subject", type=Path, help="also compare both on its held-out frames")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = torch.device("cpu")
    started = time.perf_counter()
    kinds = {
        "modes": load_avatar(options.avatar, make_rasterizer(device), device),
        "exact": load_avatar(options.avatar, make_rasterizer(device), device, exact=True),
    }
    load_s = (time.perf_counter() - started) / 2
    samples = read_speech(options.speech)
    for avatar in kinds.values():
        measure_speed(avatar, samples)  # kernels are compiled
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    for _ in range(options.rounds):
        for name, avatar in kinds.items():
            before = time.process_time()
            run = measure_speed(avatar, samples) | {"cpu_s": time.process_time() - before}
            runs[name].append(run | whole(avatar, samples))
    result = {
        "size": [kinds["modes"].width, kinds["modes"].height],
        "gaussians": {name: len(layer.gaussians) for name, layer in kinds["modes"].layers.items()},
        "load_s": round(load_s, 2),
        **{name: {key: _median(found, key) for key in _numbers(found[0])} for name, found in runs.items()},
        "modes_against_exact_db": round(agreement_db(kinds["modes"], kinds["exact"], samples), 2),
        **({} if options.subject is None else {"held_out": held_out(options.subject, options.avatar, kinds)}),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3),
        "cores": usable_cores(),
        "load_average": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
        "commit": provenance().get("commit"),
    }
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))


def whole(avatar: Avatar, samples: np.ndarray) -> dict[str, float]:
    """The command itself, but for loading: frames per second of wall time, and processor time per frame."""
    speech = PhoneEncoder().encode(samples)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        made = synthesize(
            avatar, samples, speech, Path(folder) / "out.mp4", SynthesisOptions(), np.random.default_rng(0)
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"whole_fps": made.frames / wall, "whole_cpu_ms": cpu / made.frames * 1000}


def agreement_db(one: Avatar, other: Avatar, samples: np.ndarray) -> float:
    """PSNR of one's pictures against the other's, mean over some frames."""
    speech, generator = PhoneEncoder().encode(samples), np.random.default_rng(0)
    drive = make_drive(one, speech, frames_of(samples), SynthesisOptions(), generator)
    found = []
    for i in np.linspace(0, len(drive) - 1, COMPARED).astype(int):
        a, b = (
            avatar.render(drive.conditions.frame(int(i)), drive.viewmats[i], int(drive.torso[i])).image.astype(float)
            for avatar in (one, other)
        )
        found.append(10 * np.log10(255**2 / max(float(((a - b) ** 2).mean()), 1e-9)))
    return float(np.mean(found))


def held_out(folder_of_subject: Path, folder: Path, kinds: dict[str, Avatar]) -> dict[str, dict[str, float | None]]:
    """Driven by the sound of the held-out frames: head PSNR and correlation of the mouth's opening, of both."""
    subject = Subject.open(folder_of_subject)
    track, motion = protocol_rows(subject, folder / "priors.safetensors")["driven"]
    poses, frames = load_poses(folder), split_of(subject).test
    rows = {name: RenderedRow(avatar, subject, poses, track, motion, False).picture for name, avatar in kinds.items()}
    real = Reference(frames=frames, picture=subject.frame, parsing=lambda i, *_: subject.parsing(i))
    found = evaluate_rows(real, rows, FaceMeshLandmarks, np.random.default_rng(0)).rows
    return {
        name: {"head_psnr_db": row.regions["head"].psnr_db.mean, "opening_r": row.opening.correlation}
        for name, row in found.items()
    }


def _numbers(run: dict[str, Any]) -> list[str]:
    return [key for key, value in run.items() if isinstance(value, int | float)]


def _median(runs: list[dict[str, Any]], key: str) -> float:
    return round(float(np.median([run[key] for run in runs])), 4)


if __name__ == "__main__":
    main()
