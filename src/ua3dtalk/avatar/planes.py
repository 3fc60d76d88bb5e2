"""Feature planes: φ(x) = concat over levels of the product of three bilinear planes (paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ua3dtalk.avatar import plane_kernels


@dataclass(frozen=True, kw_only=True)
class PlaneConfig:
    """A set of feature planes; defaults are the paper's for face and mouth."""

    base: int = 64
    """Grid points along an axis of the coarsest level, ≥ 2."""
    multiples: tuple[int, ...] = (1, 2, 4, 8)
    """Resolution of each level, in units of `base`."""
    channels: int = 16
    """Channels per level."""
    half_extent_m: float = 0.15
    """The planes cover ± this many metres along each axis; points outside take the border's value."""

    def __post_init__(self) -> None:
        if self.base < 2 or self.channels < 1 or not self.multiples or min(self.multiples) < 1:
            raise ValueError(f"Planes need base ≥ 2, channels ≥ 1 and at least one multiple ≥ 1, got {self}.")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Grid points along an axis, per level."""
        return tuple(self.base * multiple for multiple in self.multiples)

    @property
    def width(self) -> int:
        """Length of φ(x)."""
        return len(self.multiples) * self.channels

    @property
    def offsets(self) -> tuple[int, ...]:
        """First table row of each level."""
        return tuple(int(o) for o in np.cumsum([0, *(3 * r * r for r in self.resolutions)])[:-1])

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(3 * r * r for r in self.resolutions)


class Planes(nn.Module):
    """Trainable planes in one channels-last table: rows run over levels, planes (xy, yz, zx), first and second axis.

    Args:
        config: Resolutions and channels.
        generator: Draws the start, uniform in (0.1, 0.5) so that products start away from zero.
    """

    def __init__(self, config: PlaneConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        table = torch.empty(config.rows, config.channels).uniform_(0.1, 0.5, generator=generator)
        self.table = nn.Parameter(table)

    def forward(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "features n"]:
        """φ at the given points, features first (DESIGN §7).

        Positions get no gradient, by contract: the field follows the Gaussians, it does not push them.

        Args:
            points: Positions in the head frame, metres.

        Returns:
            [L·C, N], a transposed view of channels-last memory.
        """
        points = points.detach()
        if self.table.device.type == "cpu" and self.table.dtype == torch.float32:
            return _SamplePlanes.apply(self.table, points, self.config).t()
        return sample_planes_reference(self.table, points, self.config).t()


def sample_planes_reference(
    table: Float[Tensor, "rows channels"], points: Float[Tensor, "n 3"], config: PlaneConfig
) -> Float[Tensor, "n features"]:
    """The same numbers in plain torch: the oracle of the tests, float64 capable, and the path on accelerators."""
    levels = []
    for offset, resolution in zip(config.offsets, config.resolutions, strict=True):
        last = resolution - 1
        u = ((points + config.half_extent_m) * (last / (2 * config.half_extent_m))).clamp(0, last)  # [N, 3]
        cell = u.long().clamp(max=resolution - 2)
        weight = (u - cell).unsqueeze(-1)  # [N, 3, 1]
        product = None
        for plane in range(3):
            first, second = plane_kernels.FIRST_AXIS[plane], plane_kernels.SECOND_AXIS[plane]
            wa, wb = weight[:, first], weight[:, second]
            row = offset + (plane * resolution + cell[:, first]) * resolution + cell[:, second]
            near = table[row] * (1 - wb) + table[row + 1] * wb
            far = table[row + resolution] * (1 - wb) + table[row + resolution + 1] * wb
            sampled = near * (1 - wa) + far * wa
            product = sampled if product is None else product * sampled
        levels.append(product)
    return torch.cat(levels, dim=1)


class _SamplePlanes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, points: Tensor, config: PlaneConfig) -> Tensor:
        positions = np.ascontiguousarray(points.numpy())
        n, levels = len(positions), len(config.multiples)
        samples = np.empty((levels, 3, n, config.channels), np.float32)
        features = np.empty((n, config.width), np.float32)
        resolutions = np.array(config.resolutions)
        cells_per_m = ((resolutions - 1) / (2 * config.half_extent_m)).astype(np.float32)
        grid = (np.array(config.offsets), resolutions, cells_per_m, np.float32(config.half_extent_m))
        plane_kernels.sample(positions, table.detach().numpy(), *grid, samples, features)
        ctx.saved = (positions, grid, samples, table.shape)
        return torch.from_numpy(features)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        positions, (offsets, resolutions, cells_per_m, extent), samples, shape = ctx.saved
        table_gradient = np.zeros(shape, np.float32)
        dense = np.ascontiguousarray(grad_outputs[0].numpy())
        plane_kernels.sample_backward(
            positions, dense, offsets, resolutions, cells_per_m, extent, samples, table_gradient
        )
        return torch.from_numpy(table_gradient), None, None
