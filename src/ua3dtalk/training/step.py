"""One training step: sample → move → render → named losses → backward → finite check → optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.branch import FusionMode, Motion
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.render.compositing import over
from ua3dtalk.render.types import RenderOutput
from ua3dtalk.training.config import StageConfig
from ua3dtalk.training.losses import (
    check_finite,
    image_losses,
    likelihood_loss,
    motion_losses,
    mouth_losses,
)
from ua3dtalk.training.optimizers import LayerOptimizer
from ua3dtalk.training.run import TrainingRun
from ua3dtalk.training.thinning import Thinning


@dataclass(frozen=True)
class StepPlan:
    """What the schedule says about this step."""

    frame: int
    conditions: Conditions
    mode: FusionMode
    moving: bool
    """Whether the motion networks take part, or the mesh motion alone."""
    sh_degree: int
    progress: float
    background: Tensor
    calibrate: bool
    """Whether the likelihood term is part of this step."""
    thinning: Mapping[str, Thinning | None]
    """Per layer, at which Gaussians its networks are asked; None for all."""


@dataclass(frozen=True)
class StepResult:
    """What a step reports."""

    terms: dict[str, float]
    densification: dict[str, Any]
    """Per layer, what the densifier needs."""


def training_step(
    run: TrainingRun, stage: StageConfig, plan: StepPlan, optimizers: dict[str, LayerOptimizer]
) -> StepResult:
    """Run one step of a stage.

    Args:
        run: Layers, data and randomness.
        stage: What is trained.
        plan: What this step does.
        optimizers: One per trained layer.

    Raises:
        FloatingPointError: a loss or a gradient is not finite; nothing was changed.
    """
    region = stage.branches[0] if len(stage.branches) == 1 else "head"
    target = run.targets.target(plan.frame, region)
    rendered: dict[str, RenderOutput] = {}
    doubt: tuple[Motion, Tensor] | None = None
    terms: dict[str, Tensor] = {}
    for name in stage.branches:
        layer = run.layers[name]
        motion, deviation = animate(layer, plan, run.generator)
        doubt = doubt if deviation is None else (motion, deviation)
        rendered[name] = run.rasterizer(layer.splats(motion), target.camera, sh_degree=plan.sh_degree)
        if plan.moving:
            terms |= {f"{name}.{key}": value for key, value in motion_losses(motion, run.config.losses).items()}
    rgb, alpha = composite(rendered)
    image_terms = mouth_losses if region == "mouth" else image_losses
    terms |= image_terms(rgb, alpha, target, plan.background, run.config.losses)
    if doubt is not None:
        error = (rgb - target.image * target.mask).abs().mean(-1)
        terms["likelihood"] = calibration_loss(run, *doubt, target.camera, error)
    check_finite(terms)
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    torch.stack(list(terms.values())).sum().backward()
    for name in stage.branches:
        check_gradients(name, run.layers[name])
    for optimizer in optimizers.values():
        optimizer.step(plan.progress, plan.moving)
    info = {name: out.means2d.strategy_info(target.camera) for name, out in rendered.items()} if stage.densify else {}
    return StepResult({name: float(value.detach()) for name, value in terms.items()}, info)


def animate(
    layer: AvatarLayer, plan: StepPlan, generator: torch.Generator
) -> tuple[Motion, Float[Tensor, " n"] | None]:
    """Motion of a layer for the conditions of this step; where the step calibrates, also the face's fused deviation."""
    basis, branch, means = layer.mesh_basis, layer.motion, layer.gaussians.means.detach()
    if not plan.moving:
        return branch.mesh_motion(basis, plan.conditions), None
    thinning = plan.thinning.get(branch.config.name)
    some, there = (means, basis) if thinning is None else (means[thinning.anchors], basis[thinning.anchors])
    wanted = plan.calibrate and branch.config.name == "face"
    motion = branch(some, there, plan.conditions, plan.mode, generator, want_maps=wanted)
    deviation = None if motion.maps is None else motion.maps.fused_deviation
    if thinning is None:
        return motion, deviation
    whole = thinning.spread(motion, branch.mesh, basis, plan.conditions)
    return whole, None if deviation is None else thinning.mean(deviation[:, None])[:, 0]


def calibration_loss(
    run: TrainingRun, motion: Motion, deviation: Float[Tensor, " n"], camera: Camera, error: Tensor
) -> Tensor:
    """Likelihood of the error under the splatted deviation; geometry and colour are detached, only variances learn."""
    splats = run.layers["face"].splats(motion).detach()
    out = run.rasterizer(splats, camera, extras=deviation[:, None])
    return likelihood_loss(error, out.extras[..., 0], out.alpha, run.config.losses)


def composite(rendered: dict[str, RenderOutput]) -> tuple[Tensor, Tensor]:
    """Face over mouth: premultiplied colour and coverage."""
    if len(rendered) == 1:
        only = next(iter(rendered.values()))
        return only.rgb, only.alpha
    face, mouth = rendered["face"], rendered["mouth"]
    rgb = over(face.rgb, face.alpha, mouth.rgb)
    return rgb, face.alpha + (1 - face.alpha) * mouth.alpha


def check_gradients(name: str, layer: AvatarLayer) -> None:
    """Raise before the optimizer step where a gradient is not finite.

    Raises:
        FloatingPointError: names the parameter.
    """
    gradients = {key: p.grad for key, p in layer.named_parameters() if p.grad is not None}
    finite = torch.stack([gradient.sum() for gradient in gradients.values()]).isfinite().tolist()
    for key, good in zip(gradients, finite, strict=True):
        if not good:
            raise FloatingPointError(f"Gradient of {name}.{key} is not finite; the last good checkpoint is kept.")
