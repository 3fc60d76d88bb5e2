"""A layer's motion from few of its Gaussians: what the networks say at anchors decides for all (DESIGN §10).

Over a whole video the networks move some ten thousand Gaussians in a few dozen patterns. So the networks run at some
hundred anchors only, their motion there gives the strength of each pattern, and the patterns give the motion of all
Gaussians: proper orthogonal decomposition with sampled points (Everson & Sirovich 1995; Chaturantabut & Sorensen 2010).
The networks themselves stay as they were trained, all members, also for input that no frame ever showed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ua3dtalk.avatar.branch import Branch, Motion, StaticFeatures
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.uncertainty import MotionMaps
from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.errors import UserError

KIND = "avatar.modes"
FUSED = ("fused_aleatoric", "fused_epistemic", "fused_deviation")
"""Maps of the fused latent."""
WIDTHS = (3, 4, 3)
"""Changes per Gaussian: positions, quaternions, log scales; a branch that moves positions only has the first."""


@dataclass(frozen=True)
class ModesStatic:
    """What does not change from frame to frame."""

    means: Float[Tensor, "a 3"]
    """Canonical positions of the anchors, metres."""
    mesh_basis: Float[Tensor, "a 19 3"]
    """Of the anchors."""
    features: StaticFeatures
    """The branch's, at the anchors."""
    mesh: Float[Tensor, "19 m"]
    """Mesh motion of all positions per coefficient, a row each."""
    gates: Float[Tensor, "n g"]
    """Mean gates of all Gaussians."""


@dataclass(frozen=True)
class MotionModes:
    """Patterns of a layer's motion. A motion is one row: 3·N positions, then 4·N quaternions and 3·N log scales."""

    anchors: Int[Tensor, " a"]
    """Gaussians whose motion is computed by the networks."""
    mean: Float[Tensor, " p"]
    """Mean motion of all Gaussians."""
    modes: Float[Tensor, "k p"]
    """Patterns, in the motion's own units per unit of strength."""
    lift: Float[Tensor, "k q"]
    """From the anchors' motion, less their mean, to strengths."""
    at_anchors: Float[Tensor, " q"]
    """Mean motion of the anchors."""
    near: Int[Tensor, " n"]
    """Each Gaussian's nearest anchor, whose uncertainty is its own but for a factor."""
    doubt: Float[Tensor, "3 n"]
    """That factor for the fused aleatoric and epistemic variance and for the fused deviation."""

    def to(self, device: torch.device) -> MotionModes:
        """The same on another device."""
        return MotionModes(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def static(self, branch: Branch, means: Float[Tensor, "n 3"], mesh_basis: Float[Tensor, "n 19 3"]) -> ModesStatic:
        """What `move` needs of a layer's networks, positions and mesh basis."""
        mesh = mesh_basis.transpose(0, 1).flatten(1).contiguous()
        some = means[self.anchors]
        gates = branch.mean_gates(means)
        return ModesStatic(some, mesh_basis[self.anchors], branch.prepare_static(some), mesh, gates)

    def move(self, branch: Branch, conditions: Conditions, static: ModesStatic, want_maps: bool = False) -> Motion:
        """Motion of all Gaussians of a layer for one frame.

        Args:
            branch: The layer's networks.
            conditions: What drives the frame.
            static: From `static`.
            want_maps: Also the uncertainty.
        """
        at_anchors = branch(
            static.means,
            static.mesh_basis,
            conditions,
            mode="ensemble",
            static=static.features,
            want_maps=want_maps,
        )
        strengths = self.lift @ (motion_row(at_anchors) - self.at_anchors)
        residual, *shape = motion_parts(torch.addmv(self.mean, self.modes.t(), strengths), len(self.near))
        d_means = residual
        if branch.mesh is not None:
            coefficients = branch.mesh.coefficients(conditions.lower, conditions.upper)
            d_means = torch.addmv(residual.reshape(-1), static.mesh.t(), coefficients).view(-1, 3)
        maps = None if at_anchors.maps is None else self._spread(at_anchors.maps, static.gates)
        return Motion(d_means, *shape, residual=residual, maps=maps)

    def _spread(self, maps: MotionMaps, gates: Float[Tensor, "n g"]) -> MotionMaps:
        """The anchors' uncertainty as that of all Gaussians."""
        names = ("aleatoric", "epistemic", "conflict", "trust")
        whole = {name: getattr(maps, name)[self.near] * factor for name, factor in zip(FUSED, self.doubt, strict=True)}
        return replace(maps, gates=gates, **{name: getattr(maps, name)[self.near] for name in names}, **whole)

    def save(self, path: Path) -> None:
        """Write it; patterns in half precision, in units of their mean size per kind of change."""
        n = len(self.near)
        units = torch.stack([part.square().mean().sqrt() + 1e-30 for part in motion_parts(self.modes, n)])
        scaled = [part / unit for part, unit in zip(motion_parts(self.modes, n), units, strict=True)]
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors |= {"modes": torch.cat([part.flatten(1) for part in scaled], dim=1).half(), "units": units}
        save_tensors(path, tensors, kind=KIND, header={"gaussians": n})

    @classmethod
    def load(cls, path: Path, gaussians: int) -> MotionModes:
        """Read it.

        Args:
            path: From `save`.
            gaussians: N of the layer that it is of.

        Raises:
            UserError: damaged, or of another layer.
        """
        tensors, header = load_tensors(path, kind=KIND)
        if header.get("gaussians") != gaussians:
            raise UserError(
                f"{path} is of {header.get('gaussians')} Gaussians, the layer beside it has {gaussians}.",
                "It belongs to another avatar; train again, or use --exact.",
            )
        units = tensors.pop("units")
        parts = motion_parts(tensors["modes"].float(), gaussians)
        scaled = [(part * unit).flatten(1) for part, unit in zip(parts, units, strict=True)]
        return cls(**(tensors | {"modes": torch.cat(scaled, dim=1)}))


def motion_row(motion: Motion) -> Float[Tensor, " p"]:
    """What the networks add to the mesh's motion, as one row."""
    return torch.cat([part.reshape(-1) for part in motion.learnt()])


def motion_parts(row: Float[Tensor, "*rows p"], n: int) -> Iterator[Float[Tensor, "*rows n _"]]:
    """The parts of rows of N Gaussians: views, positions first."""
    start = 0
    for width in WIDTHS:
        if start < row.shape[-1]:
            yield row[..., start : start + n * width].unflatten(-1, (n, width))
            start += n * width
