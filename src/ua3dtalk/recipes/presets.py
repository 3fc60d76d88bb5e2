"""Training runs as functions: ``quick``, ``standard``, ``paper``. Explicit flags change the returned value, never the
other way round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ua3dtalk.avatar.branch import BranchConfig
from ua3dtalk.avatar.heads import HeadConfig
from ua3dtalk.avatar.planes import PlaneConfig
from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.gaussians.densification import DensificationConfig
from ua3dtalk.gaussians.initialisation import InitialisationConfig
from ua3dtalk.training.config import LossConfig, RateConfig, StageConfig, TrainConfig


def preset(
    name: str, *, seed: int = 0, max_steps: int | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainConfig:
    """A whole run by name, with what the user changed.

    Args:
        name: ``quick`` (256², minutes on two cores), ``standard`` or ``paper``.
        seed: Seed of the run.
        max_steps: Cap on the steps of all stages together; every stage is shortened in proportion.
        overrides: Settings by dotted name, e.g. ``{"face.covariance": "full"}``; applied last.

    Raises:
        UserError: another name, a cap below one step per stage, or a setting that does not exist or fit.
    """
    makers = {"quick": quick, "standard": standard, "paper": paper}
    if name not in makers:
        raise UserError(f"--preset {name!r} is not known.", f"Use one of {', '.join(makers)}.")
    config = replace(makers[name](), seed=seed)
    config = config if max_steps is None else shortened(config, max_steps)
    return overridden(config, overrides or {})


def shortened(config: TrainConfig, max_steps: int) -> TrainConfig:
    """The same run with all stages scaled so that their steps sum to at most ``max_steps``."""
    total = sum(stage.steps for stage in config.stages)
    if max_steps < len(config.stages):
        raise UserError(f"--max-steps {max_steps} is too few.", f"Give at least {len(config.stages)}, one per stage.")
    if max_steps >= total:
        return config
    factor = max_steps / total
    scale = lambda steps: max(int(steps * factor), 1) if steps else 0  # noqa: E731
    stages = tuple(
        replace(
            stage,
            steps=scale(stage.steps),
            static_steps=scale(stage.static_steps),
            ensemble_from=scale(stage.ensemble_from),
            refine_poses_at=tuple(scale(step) for step in stage.refine_poses_at),
        )
        for stage in config.stages
    )
    return replace(config, stages=stages, modes=replace(config.modes, queries=scale(config.modes.queries)))


def overridden(config: TrainConfig, overrides: Mapping[str, Any]) -> TrainConfig:
    """The same run with some settings replaced.

    Args:
        config: Where to start.
        overrides: Value by dotted name, as in ``{"face.members": 2, "stages.2.steps": 500}``.

    Raises:
        UserError: a name does not exist, or a value does not fit it.
    """
    plain = to_plain(config)
    for name, value in overrides.items():
        *path, last = name.split(".")
        place = plain
        for key in path:
            place = _entry(place, key, name)
        _entry(place, last, name)
        place[int(last) if isinstance(place, list) else last] = value
    try:
        return from_plain(TrainConfig, plain, "--set")
    except ValueError as error:
        raise UserError(f"--set: {error}", "Choose a value in range.") from error


def _entry(place: Any, key: str, name: str) -> Any:
    if isinstance(place, dict) and key in place:
        return place[key]
    if isinstance(place, list) and key.isdigit() and int(key) < len(place):
        return place[int(key)]
    known = ", ".join(place) if isinstance(place, dict) else f"0 to {len(place) - 1}" if isinstance(place, list) else ""
    raise UserError(f"--set {name}: there is no {key!r}.", f"Known here: {known or 'nothing below'}.")


def quick() -> TrainConfig:
    """256² in minutes on two cores: fewer points, small planes, four members; the stages and parts are all there."""
    face = BranchConfig(
        planes=PlaneConfig(base=16, multiples=(1, 2, 4), channels=8),
        emotion_planes=PlaneConfig(base=16, multiples=(1, 2), channels=16),
        members=4,
        latent=24,
        hidden=32,
        heads=HeadConfig(hidden=32),
    )
    return TrainConfig(
        preset="quick",
        face=face,
        mouth=face.as_mouth(),
        init=InitialisationConfig(face_count=7500, mouth_count=700, sh_degree=0),
        thinning=0.25,
        stages=(
            StageConfig(name="mouth", branches=("mouth",), steps=600, static_steps=100),
            StageConfig(name="face", branches=("face",), steps=4500, static_steps=1500, refine_poses_at=(1500,)),
            StageConfig(
                name="fuse",
                branches=("mouth", "face"),
                steps=3000,
                ensemble_from=2200,
                predicted_share=0.2,
                rate_scale=0.5,
            ),
        ),
    )


def standard() -> TrainConfig:
    """512²: more points and planes, longer stages, densification, view-dependent colour."""
    face = BranchConfig(
        planes=PlaneConfig(base=32, multiples=(1, 2, 4), channels=16),
        emotion_planes=PlaneConfig(base=32, multiples=(1, 2, 4), channels=32),
        members=6,
        latent=48,
        hidden=64,
    )
    return TrainConfig(
        preset="standard",
        face=face,
        mouth=face.as_mouth(),
        init=InitialisationConfig(face_count=15_000, mouth_count=1500, sh_degree=1),
        thinning=0.25,
        densification=DensificationConfig(stop_step=6000, max_count=25_000),
        stages=(
            StageConfig(name="mouth", branches=("mouth",), steps=3000, static_steps=300),
            StageConfig(
                name="face", branches=("face",), steps=10_000, static_steps=2000, refine_poses_at=(2000,), densify=True
            ),
            StageConfig(
                name="fuse",
                branches=("mouth", "face"),
                steps=5000,
                ensemble_from=2500,
                predicted_share=0.2,
                rate_scale=0.5,
            ),
        ),
    )


def paper() -> TrainConfig:
    """The paper's recipe: full sizes, 50k + 50k + 10k steps, member-sampled until 15k, full covariance, no mesh motion.

    Learning rates of the Gaussians are those of DESIGN §9; the paper's own are not published.
    """
    face = BranchConfig(covariance="full", mesh_motion=False)
    return TrainConfig(
        preset="paper",
        face=face,
        mouth=face.as_mouth(),
        init=InitialisationConfig(random=True, face_count=2000, mouth_count=2000, sh_degree=2),
        losses=LossConfig(mouth_weight=0.0),
        rates=RateConfig(),
        densification=DensificationConfig(start_step=500, stop_step=15_000, every=100),
        stages=(
            StageConfig(
                name="mouth", branches=("mouth",), steps=50_000, static_steps=3000, ensemble_from=15_000, densify=True
            ),
            StageConfig(
                name="face", branches=("face",), steps=50_000, static_steps=3000, ensemble_from=15_000, densify=True
            ),
            StageConfig(name="fuse", branches=("mouth", "face"), steps=10_000, ensemble_from=0, rate_scale=0.1),
        ),
    )
