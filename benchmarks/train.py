"""What a training step costs in every phase of a preset, and what the whole run would take.

    python benchmarks/train.py SUBJECT [--preset quick] [--steps 20] [--set KEY=VALUE ...] [--json]

Every stage of the preset is entered at the start of each of its phases: *static* (Gaussians and mesh motion alone),
*member* (one drawn member per stream), *ensemble* (all members; every fourth step with the likelihood). Steps of all
phases alternate, so that other work on the machine meets them all; the median counts. CPU time is that of all threads.
*data* is reading a frame that is not in the cache. The whole is steps times medians: priors, pose refinement,
densification and what is learnt after training are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from ua3dtalk.core.progress import Silent
from ua3dtalk.core.provenance import provenance
from ua3dtalk.core.threads import one_thread
from ua3dtalk.priors.pipeline import PriorsConfig, fit_priors
from ua3dtalk.recipes.presets import preset
from ua3dtalk.recipes.train import build_run
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.store import Subject
from ua3dtalk.training.config import StageConfig
from ua3dtalk.training.loop import plan_step, stage_tools, thin
from ua3dtalk.training.run import TrainingRun
from ua3dtalk.training.step import training_step

WARM_UP = 4
"""Steps of a phase that are not counted: kernels are compiled, frames read."""
COLD_FRAMES = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", type=Path)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--steps", type=int, default=20, help="counted steps of every phase")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="as face.covariance='\"full\"'")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changes = {key: json.loads(value) for key, value in (item.split("=", 1) for item in options.set)}
    config, device = preset(options.preset, overrides=changes), torch.device("cpu")
    subject = Subject.open(options.subject)
    fit_priors(subject, PriorsConfig(seed=config.seed), Silent())
    run = build_run(subject, config, make_rasterizer(device), device)
    data = data_ms(run)
    phases = [phase for stage in config.stages for phase in phases_of(stage)]
    steps = {name: stepper(run, stage, first, until) for name, stage, first, until in phases}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    with one_thread():  # as in training
        for k in range(WARM_UP + options.steps):
            for name, step in steps.items():
                started = time.perf_counter(), time.process_time()
                step()
                if k >= WARM_UP:
                    times[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    rows = {name: {"steps": until - first} | medians(times[name]) for name, _, first, until in phases}
    result = {
        "preset": options.preset,
        "changes": changes,
        "gaussians": {name: len(layer.gaussians) for name, layer in run.layers.items()},
        "rasterizer_threads": numba.get_num_threads(),
        "phases": rows,
        "data_ms": data,
        "whole_min": {
            kind: round(sum(row["steps"] * row[f"{kind}_ms"] for row in rows.values()) / 60_000, 2)
            for kind in ("wall", "cpu")
        },
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3),
        "load_average": os.getloadavg()[0],
        **provenance(),
    }
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))


def phases_of(stage: StageConfig) -> Iterator[tuple[str, StageConfig, int, int]]:
    """Name, stage, first step and end of every phase that the stage has."""
    ends = (0, stage.static_steps, max(stage.ensemble_from, stage.static_steps), stage.steps)
    parts = pairwise(min(end, stage.steps) for end in ends)
    for kind, (first, until) in zip(("static", "member", "ensemble"), parts, strict=True):
        if first < until:
            yield f"{stage.name} {kind}", stage, first, until


def stepper(run: TrainingRun, stage: StageConfig, first: int, until: int) -> Callable[[], None]:
    """One more step of a phase at every call."""
    tools, thinning = stage_tools(run, stage), thin(run, stage)
    turn = iter(range(10**9))

    def one() -> None:
        assert tools is not None
        plan = plan_step(run, stage, tools.sampler, first + next(turn) % (until - first), thinning)
        training_step(run, stage, plan, tools.optimizers)

    return one


def data_ms(run: TrainingRun) -> dict[str, float]:
    """Milliseconds to read a frame for the first time, and again."""
    found: dict[str, list[float]] = {"first": [], "again": []}
    for i in np.linspace(0, len(run.train_frames) - 1, COLD_FRAMES).astype(int):
        for times in found.values():
            started = time.perf_counter()
            run.targets.target(int(run.train_frames[i]), "head")
            times.append(time.perf_counter() - started)
    return {name: round(float(np.median(times)) * 1000, 3) for name, times in found.items()}


def medians(times: list[tuple[float, float]]) -> dict[str, Any]:
    """Medians of wall-clock and CPU milliseconds."""
    wall, cpu = np.median(np.array(times), axis=0) * 1000
    return {"wall_ms": round(float(wall), 2), "cpu_ms": round(float(cpu), 2)}


if __name__ == "__main__":
    main()
