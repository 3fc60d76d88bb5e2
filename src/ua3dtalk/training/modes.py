"""The patterns of a trained layer's motion, for real-time synthesis (DESIGN §10; `avatar.motion_modes`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ua3dtalk.avatar.conditions import Conditions, ConditionTrack
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.motion_modes import FUSED, MotionModes, motion_parts, motion_row
from ua3dtalk.core.progress import Progress, log, track
from ua3dtalk.training.config import ModesConfig

_LEAST = 1e-6
"""Patterns with a smaller share of the variance than this are left out: they are rounding."""

_TINY = 1e-12
"""Keeps logarithms finite where an ensemble of one has no spread."""


@torch.no_grad()
def find_modes(
    layer: AvatarLayer,
    tracks: Sequence[ConditionTrack],
    frames: np.ndarray,
    config: ModesConfig,
    generator: np.random.Generator,
    progress: Progress,
) -> MotionModes:
    """Ask a trained layer for many motions, and find the patterns that they are made of.

    Every third question takes each stream from another frame: what the streams do apart must be in the patterns too,
    or speech of another person would find no words in them.

    Args:
        layer: Trained layer; not changed.
        tracks: Conditions of all frames, asked in turn: tracked and predicted expression.
        frames: Frames to ask for.
        config: How many questions, patterns and anchors.
        generator: Draws frames and anchors.
        progress: Where to report.
    """
    means, basis, branch = layer.gaussians.means.detach(), layer.mesh_basis, layer.motion
    static = branch.prepare_static(means)
    rows, doubts = list[Tensor](), list[Tensor]()
    for q in track(progress, f"patterns of the {branch.config.name}", range(config.queries)):
        drawn = tracks[q % len(tracks)]
        asked = drawn.frame(int(generator.choice(frames))) if q % 3 else mixed(drawn, frames, generator)
        motion = branch(means, basis, asked, mode="ensemble", static=static, want_maps=True)
        rows.append(motion_row(motion))
        doubts.append(torch.stack([getattr(motion.maps, name) for name in FUSED]))
    n = len(means)
    motions = torch.stack(rows)
    units = torch.cat([(part.std() + 1e-12).expand(part[0].numel()) for part in motion_parts(motions, n)])
    mean = motions.mean(0)
    modes, share = principal(motions.sub_(mean).div_(units), config.most)
    anchors = _anchors(modes, n, config.anchors, generator)
    seen = torch.cat([part[:, anchors].flatten(1) for part in motion_parts(modes, n)], dim=1)
    at_anchors, units_there = (
        torch.cat([part[anchors].flatten() for part in motion_parts(row, n)]) for row in (mean, units)
    )
    lift = torch.linalg.pinv(seen.t().double()).float() / units_there
    log.info("The %s moves in %d patterns (%.2f %% of it in none)", branch.config.name, len(modes), 100 * (1 - share))
    return MotionModes(anchors, mean, modes * units, lift, at_anchors, *_doubts(means, anchors, torch.stack(doubts)))


def _doubts(
    means: Float[Tensor, "n 3"], anchors: Int[Tensor, " a"], values: Float[Tensor, "q 3 n"]
) -> tuple[Int[Tensor, " n"], Float[Tensor, "3 n"]]:
    """Each Gaussian's nearest anchor, and by what factor (geometric mean) its uncertainty is another."""
    near = torch.cdist(means, means[anchors]).argmin(1)
    logs = (values + _TINY).log()
    return near, (logs - logs[..., anchors[near]]).mean(0).exp()


def mixed(drawn: ConditionTrack, frames: np.ndarray, generator: np.random.Generator) -> Conditions:
    """Conditions with every part from a frame of its own."""
    part = lambda name: getattr(drawn.frame(int(generator.choice(frames))), name)  # noqa: E731
    names = ("audio", "upper", "lower", "content", "style", "emotion")
    return replace(drawn.frame(int(generator.choice(frames))), **{name: part(name) for name in names})


def principal(rows: Float[Tensor, "q p"], most: int) -> tuple[Float[Tensor, "k p"], float]:
    """Orthogonal patterns of centred rows, largest first, each with a mean square of 1, and the share that they hold.

    By the rows' products with each other, since there are few rows.
    """
    values, vectors = torch.linalg.eigh((rows @ rows.t()).double())
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    total = values.sum()
    kept = int((values[:most] > _LEAST * total).sum()) if float(total) > 0 else 0
    size = values[:kept].sqrt() / rows.shape[1] ** 0.5
    share = float(values[:kept].sum() / total) if kept else 1.0
    return (vectors[:, :kept] / size).t().float() @ rows, share


def _anchors(modes: Float[Tensor, "k p"], n: int, wanted: int, generator: np.random.Generator) -> Int[Tensor, " a"]:
    """Gaussians drawn by how much of the patterns they carry; all of them where there are few."""
    if n <= wanted:
        return torch.arange(n, device=modes.device)
    weight = torch.stack([part.square().sum((0, 2)) for part in motion_parts(modes, n)]).sum(0).double().cpu().numpy()
    weight = weight + weight.mean() * 0.1 + 1e-12  # nobody is left out for good
    chosen = generator.choice(n, wanted, replace=False, p=weight / weight.sum())
    return torch.from_numpy(np.sort(chosen)).to(modes.device)
