"""Per-Gaussian channel gates: which part of the face listens to speech, which to the upper-face signals."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ua3dtalk.avatar.seeded_layers import linear


class PointGates(nn.Module):
    """Gates in (0, 1) from the field: sigmoid of a two-layer network of φ(x), features first.

    They do not change from frame to frame. Rendered as attention maps and regularised in training (DESIGN §7).

    Args:
        features: Width of φ.
        hidden: Width between the layers.
        outputs: Number of gated channels.
        generator: Draws the weights.
    """

    def __init__(self, features: int, hidden: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = linear(features, hidden, generator)
        self.output = linear(hidden, outputs, generator)

    def forward(self, field: Float[Tensor, "features n"]) -> Float[Tensor, "outputs n"]:
        """Gates of every Gaussian from its field features."""
        hidden = torch.addmm(self.hidden.bias.unsqueeze(1), self.hidden.weight, field).relu_()
        return torch.addmm(self.output.bias.unsqueeze(1), self.output.weight, hidden).sigmoid_()


REACH_M = 5e-4
"""Displacement per standard deviation of the signals at which a Gaussian half counts as moved by them."""


def gate_penalty(gates: Float[Tensor, "n g"], mesh_basis: Float[Tensor, "n 19 3"] | None) -> Float[Tensor, ""] | None:
    """Mean gate of the Gaussians that a gate's signals do not move (DESIGN §9, gate regularisers).

    Which Gaussians those are is read off the mesh basis (ours): audio belongs where the 13 lower-face coefficients move
    the mesh, the upper-face gate where the 6 upper-face signals do. Without a basis all Gaussians count.

    Args:
        gates: Mean audio gate, and mean upper-face gate where the branch has one; no columns give None.
        mesh_basis: From `bind_to_mesh`, metres per standard deviation.
    """
    if gates.shape[1] == 0:
        return None
    if mesh_basis is None:
        return gates.mean(0).sum()
    groups = mesh_basis.new_zeros(19, 2)
    groups[:13, 0] = 1
    groups[13:, 1] = 1
    reach = mesh_basis.flatten(1).square() @ groups.repeat_interleave(3, dim=0)  # [N, 2], m²
    outside = REACH_M**2 / (REACH_M**2 + reach[:, : gates.shape[1]])
    return (gates * outside).mean(0).sum()
