"""From the fused latent to motion: a shared layer, then one two-layer head per kind of change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ua3dtalk.avatar.seeded_layers import linear, uniform_parameter

MEANS_SCALE = 1e-2
"""Metres per unit of the means head."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """What a branch's heads may change; defaults are the paper's face."""

    hidden: int = 64
    """Width of the shared layer d and inside each head, ≥ 1."""
    moves_shape: bool = True
    """Heads for Δquats and Δlog_scales besides Δmeans."""
    axis_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factor on Δmeans per axis of the head frame."""

    @property
    def rows(self) -> tuple[int, ...]:
        """Output rows of each head."""
        return (3, 4, 3) if self.moves_shape else (3,)


class MotionHeads(nn.Module):
    """d = W [z, φ(x)]; Δmeans·1e-2, Δquats, Δlog_scales from d, each by two layers (paper; DESIGN §7).

    The shared layer has no nonlinearity, so it is folded into the heads' first layers: one product per frame instead of
    two, and its field half does not change per frame. Output layers start at zero: untrained motion is the identity.

    Args:
        config: Width and kinds of heads.
        latent: D.
        field: Width of φ.
        generator: Draws the weights.
    """

    def __init__(self, config: HeadConfig, *, latent: int, field: int, generator: torch.Generator) -> None:
        super().__init__()
        self.latent, self.hidden = latent, config.hidden
        shared = hidden = config.hidden
        rows = config.rows
        self.shared = linear(latent + field, shared, generator)
        self.first = uniform_parameter(len(rows) * hidden, shared, fan_in=shared, generator=generator)
        self.first_bias = uniform_parameter(len(rows) * hidden, 1, fan_in=shared, generator=generator)
        self.rows = rows
        # One block per head; a head with fewer rows than the largest leaves its last row unused.
        self.output = nn.Parameter(torch.zeros(len(rows), max(rows), hidden))
        self.output_bias = nn.Parameter(torch.zeros(len(rows), max(rows), 1))

    def static(self, field: Float[Tensor, "features n"]) -> Float[Tensor, "k_hidden n"]:
        """The part of the heads' first layers that does not change per frame."""
        bias = torch.addmm(self.first_bias, self.first, self.shared.bias.unsqueeze(1))
        return torch.addmm(bias, self.first @ self.shared.weight[:, self.latent :], field)

    def forward(
        self, fused: Float[Tensor, "d n"], static: Float[Tensor, "k_hidden n"]
    ) -> tuple[Float[Tensor, "_ n"], ...]:
        """Raw output of each head, features first; the means' are not scaled yet."""
        before = torch.addmm(static, self.first @ self.shared.weight[:, : self.latent], fused)
        hidden = before.relu_().view(len(self.rows), self.hidden, -1)
        raw = torch.baddbmm(self.output_bias, self.output, hidden)
        return tuple(head[:rows] for head, rows in zip(raw.unbind(0), self.rows, strict=True))
