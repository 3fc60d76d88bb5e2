"""The resumable state of a training run: resuming gives the same bits as never having stopped (CPU)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.core.checkpoint import load_into, load_tensors, save_tensors
from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.gaussians.densification import Densifier
from ua3dtalk.subject.sampler import CurriculumSampler
from ua3dtalk.training.config import TrainConfig
from ua3dtalk.training.optimizers import LayerOptimizer
from ua3dtalk.training.run import TrainingRun

KIND = "training.state"


@dataclass(frozen=True)
class StageTools:
    """What a stage keeps beside the layers."""

    optimizers: dict[str, LayerOptimizer]
    sampler: CurriculumSampler
    densifiers: dict[str, Densifier]


@dataclass(frozen=True)
class Position:
    """Where training stands: ``step`` steps of stage number ``stage`` are done."""

    stage: int
    step: int


def save_state(path: Path, run: TrainingRun, position: Position, tools: StageTools, subject_sha256: str) -> None:
    """Write everything the next step depends on, in one atomic step."""
    tensors: dict[str, Tensor] = {"generator": run.generator.get_state(), "viewmats": torch.from_numpy(run.viewmats)}
    for name, layer in run.layers.items():
        tensors |= {f"layer.{name}.{key}": value for key, value in layer.state_dict().items()}
    for name, optimizer in tools.optimizers.items():
        tensors |= {f"adam.{name}.{key}": value for key, value in optimizer.state().items()}
    for name, densifier in tools.densifiers.items():
        tensors |= {f"densify.{name}.{key}": value for key, value in densifier.tensors().items()}
    tensors |= {f"sampler.{key}": value for key, value in tools.sampler.state().items()}
    header = {
        "stage": position.stage,
        "step": position.step,
        "config": to_plain(run.config),
        "subject_sha256": subject_sha256,
    }
    save_tensors(path, tensors, kind=KIND, header=header)


@dataclass(frozen=True)
class SavedState:
    """What ``load_state`` read; applied to the run by ``restore_layers`` and ``restore_stage``."""

    position: Position
    tensors: dict[str, Tensor]


def load_state(path: Path, config: TrainConfig, subject_sha256: str) -> SavedState:
    """Read a state and check that it belongs to this run.

    Raises:
        UserError: it was made with another configuration or subject.
    """
    tensors, header = load_tensors(path, kind=KIND)
    if header["config"] != to_plain(config):
        changed = sorted(k for k, v in to_plain(config).items() if header["config"].get(k) != v)
        raise UserError(
            f"{path.parent} was trained with other settings ({', '.join(changed)}).",
            "Use the same flags to resume, or another --out to start anew.",
        )
    if header["subject_sha256"] != subject_sha256:
        raise UserError(f"{path.parent} belongs to another subject.", "Use another --out.")
    return SavedState(Position(header["stage"], header["step"]), tensors)


def restore_layers(saved: SavedState, run: TrainingRun) -> None:
    """Put layers, poses and randomness back."""
    config = {"face": run.config.face, "mouth": run.config.mouth}
    for name in list(run.layers):
        part = _part(saved.tensors, f"layer.{name}.")
        n, harmonics = part["gaussians.sh"].shape[:2]
        layer = AvatarLayer.template(n, int(harmonics**0.5) - 1, config[name])
        load_into(layer, part, f"layer {name}")
        run.layers[name] = layer.to(run.device)
    run.targets.viewmats = saved.tensors["viewmats"].numpy().copy()
    run.generator.set_state(saved.tensors["generator"])


def restore_stage(saved: SavedState, tools: StageTools) -> None:
    """Put the moments of the optimizers, the queue of the sampler and the statistics of the densifiers back."""
    for name, optimizer in tools.optimizers.items():
        optimizer.load_state(_part(saved.tensors, f"adam.{name}."))
    for name, densifier in tools.densifiers.items():
        densifier.load_tensors(_part(saved.tensors, f"densify.{name}."))
    tools.sampler.load_state(_part(saved.tensors, "sampler."))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
