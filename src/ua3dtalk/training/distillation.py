"""A student of a trained branch: one network per stream in place of an ensemble, for real-time synthesis (DESIGN §10).

The student is a ``Branch`` of one member. Field, gates, code-books and encoders are its teacher's; its ensembles and
heads start as the teacher's first member and learn to move the Gaussians as the whole ensemble does. It knows no
spread, so uncertainty is always asked of the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.branch import Branch, Motion
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.core.progress import Progress, track
from ua3dtalk.training.config import DistillationConfig

LEARNT = ("ensembles", "heads")
"""Parts of a branch that a student has of its own."""


def distil(
    layer: AvatarLayer,
    tracks: Sequence[ConditionTrack],
    frames: np.ndarray,
    config: DistillationConfig,
    generator: np.random.Generator,
    progress: Progress,
) -> Branch:
    """Teach a student.

    Args:
        layer: Trained layer; not changed.
        tracks: Conditions of all frames, drawn from in turn: tracked and predicted expression.
        frames: Frames to learn on.
        config: How long.
        generator: Draws frames and Gaussians.
        progress: Where to report.
    """
    teacher = layer.motion
    student = student_of(teacher).to(layer.mesh_basis.device)
    learnt = [p for name, p in student.named_parameters() if name.split(".")[0] in LEARNT]
    student.requires_grad_(False)
    for parameter in learnt:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(learnt, lr=config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    means, basis = layer.gaussians.means.detach(), layer.mesh_basis
    usual: list[Tensor] = []
    for step in track(progress, f"student of the {teacher.config.name}", range(config.steps)):
        conditions = tracks[step % len(tracks)].frame(int(generator.choice(frames)))
        some = torch.from_numpy(generator.integers(0, len(means), min(config.points, len(means)))).to(means.device)
        with torch.no_grad():
            wanted = _learnt_motion(teacher(means[some], basis[some], conditions, mode="ensemble"))
        given = _learnt_motion(student(means[some], basis[some], conditions, mode="ensemble"))
        usual = usual or [value.std() + 1e-9 for value in wanted]
        loss = torch.stack(
            [((a - b) / unit).square().mean() for a, b, unit in zip(given, wanted, usual, strict=True)]
        ).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return student.requires_grad_(False)


def student_of(teacher: Branch) -> Branch:
    """A branch of one member with the teacher's weights: of every ensemble the first member's."""
    student = Branch(replace(teacher.config, members=1), torch.Generator()).eval()
    own = student.state_dict()
    student.load_state_dict(
        {name: v if v.shape == own[name].shape else v[:1] for name, v in teacher.state_dict().items()}
    )
    return student


def _learnt_motion(motion: Motion) -> list[Float[Tensor, "n _"]]:
    """What the network adds to the mesh's motion."""
    parts = (motion.residual, motion.d_quats, motion.d_log_scales)
    return [part for part in parts if part is not None]
