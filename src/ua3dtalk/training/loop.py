"""The training loop: one for all stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.avatar.branch import FusionMode
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.core.threads import one_thread
from ua3dtalk.gaussians.densification import Densifier
from ua3dtalk.subject.sampler import CurriculumSampler
from ua3dtalk.training.checkpoint import (
    Position,
    SavedState,
    StageTools,
    load_state,
    restore_layers,
    restore_stage,
    save_state,
)
from ua3dtalk.training.config import StageConfig
from ua3dtalk.training.optimizers import GAUSSIAN_PARAMETERS, LayerOptimizer
from ua3dtalk.training.pose_refinement import refine_poses
from ua3dtalk.training.run import TrainingRun
from ua3dtalk.training.step import StepPlan, training_step
from ua3dtalk.training.thinning import Thinning

STATE_FILE = "training.safetensors"
THINNED_ANEW = 50
"""Steps after which the networks are asked at other Gaussians, counted from checkpoints: resuming changes nothing."""
SMALLEST_MOUTH_PX = 12
"""Frames whose inner mouth is smaller teach the mouth branch nothing."""


def train(
    run: TrainingRun, folder: Path, subject_sha256: str, *, resume: bool = False, progress: Progress | None = None
) -> None:
    """Run all stages; the trained layers and poses are in ``run`` afterwards.

    Args:
        run: Layers, data and randomness.
        folder: Where the resumable state is kept.
        subject_sha256: Identity of the subject, checked on resume.
        resume: Go on from the state in ``folder`` if there is one.
        progress: Where to report.

    Raises:
        UserError: the state belongs to other settings or another subject.
        FloatingPointError: training diverged; the last state is kept.
    """
    path = folder / STATE_FILE
    saved = load_state(path, run.config, subject_sha256) if resume and path.exists() else None
    if saved is not None:
        restore_layers(saved, run)
        log.info("Resuming in stage %s after %d steps", *_where(run, saved.position))
    first = saved.position.stage if saved else 0
    for number in range(first, len(run.config.stages)):
        resumed = saved if saved is not None and number == first else None
        with one_thread():  # the rasterizer has threads of its own
            _run_stage(run, number, path, subject_sha256, resumed, progress or Silent())


def _where(run: TrainingRun, position: Position) -> tuple[str, int]:
    return run.config.stages[position.stage].name, position.step


def _run_stage(
    run: TrainingRun, number: int, path: Path, subject_sha256: str, saved: SavedState | None, progress: Progress
) -> None:
    stage = run.config.stages[number]
    tools = stage_tools(run, stage)
    if tools is None:
        log.warning("Stage %s is skipped: the mouth never opens in the training frames.", stage.name)
        return
    first = 0
    if saved is not None:
        restore_stage(saved, tools)
        first = saved.position.step
    elif number > 0:
        save_state(path, run, Position(number, 0), tools, subject_sha256)
    with progress.task(f"train {stage.name}", stage.steps) as task:
        task.advance(first)
        thinning: dict[str, Thinning | None] = {}
        for step in range(first, stage.steps):
            if step in stage.refine_poses_at:
                refine_poses(run, progress)
            if step % run.config.checkpoint_every % THINNED_ANEW == 0:
                thinning = thin(run, stage)
            plan = plan_step(run, stage, tools.sampler, step, thinning)
            result = training_step(run, stage, plan, tools.optimizers)
            for name, densifier in tools.densifiers.items():
                if densifier.after_backward(step, result.densification[name]):
                    run.layers[name].mesh_basis = densifier.companion("mesh_basis")
                    thinning = thin(run, stage)
            task.advance(note=f"loss {result.terms['photometric']:.4f}")
            done = step + 1
            if done % run.config.checkpoint_every == 0 and done < stage.steps:
                save_state(path, run, Position(number, done), tools, subject_sha256)


def thin(run: TrainingRun, stage: StageConfig) -> dict[str, Thinning | None]:
    """At which Gaussians the networks of a stage are asked from now on; on an accelerator at all."""
    share = run.config.thinning if run.device.type == "cpu" else 1.0
    return {n: Thinning.draw(run.layers[n].gaussians.means, share, run.generator) for n in stage.branches}


def stage_tools(run: TrainingRun, stage: StageConfig) -> StageTools | None:
    """Fresh optimizers, sampler and densifiers of a stage; None where no frame teaches its branch."""
    sampler = _sampler(run, stage)
    if sampler is None:
        return None
    optimizers = {n: LayerOptimizer(run.layers[n], run.config.rates, stage.rate_scale) for n in stage.branches}
    densifiers = {n: _densifier(run, n, optimizers[n]) for n in stage.branches} if stage.densify else {}
    return StageTools(optimizers, sampler, densifiers)


def plan_step(
    run: TrainingRun,
    stage: StageConfig,
    sampler: CurriculumSampler,
    step: int,
    thinning: Mapping[str, Thinning | None] | None = None,
) -> StepPlan:
    """What the schedule says about one step: the only place that knows step numbers."""
    progress = step / max(stage.steps, 1)
    frame = sampler.draw(progress)
    predicted = float(torch.rand((), generator=run.generator)) < stage.predicted_share
    conditions = (run.predicted if predicted else run.tracked).frame(frame)
    mode: FusionMode = "ensemble" if step >= stage.ensemble_from else "member"
    sh_degree = min(step // run.config.sh_degree_every, run.config.init.sh_degree)
    background = torch.rand(3, generator=run.generator).to(run.device)
    moving = step >= stage.static_steps
    losses = run.config.losses
    calibrate = losses.likelihood > 0 and mode == "ensemble" and moving and step % losses.likelihood_every == 0
    return StepPlan(frame, conditions, mode, moving, sh_degree, progress, background, calibrate, thinning or {})


def _sampler(run: TrainingRun, stage: StageConfig) -> CurriculumSampler | None:
    frames = run.train_frames
    opening, blink = run.track.opening, run.track.upper[:, 0]
    if stage.branches == ("mouth",):
        frames = frames[run.targets.inner_mouth_area(frames) >= SMALLEST_MOUTH_PX]
        if len(frames) == 0:
            return None
        signals = [opening[frames]]
    else:
        signals = [opening[frames], blink[frames]]
    config = run.config.curriculum
    return CurriculumSampler(np.asarray(frames), signals, config.share, config.width, run.generator)


def _densifier(run: TrainingRun, name: str, optimizer: LayerOptimizer) -> Densifier:
    layer = run.layers[name]
    own = {key: optimizer.by_name[key] for key in GAUSSIAN_PARAMETERS}
    companions = {"mesh_basis": layer.mesh_basis}
    return Densifier(layer.gaussians, own, companions, run.config.densification, run.config.seed)
