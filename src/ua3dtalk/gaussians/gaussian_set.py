"""The trainable set of 3D Gaussians."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GaussianSet(nn.Module):
    """N Gaussians in the head frame, stored as the optimizer sees them.

    Args:
        means: Centres, metres.
        quats: Rotations, ``wxyz``, any norm above 0.
        log_scales: Natural logarithm of the standard deviations in metres.
        opacity_logits: Opacity before the sigmoid.
        sh: Spherical-harmonic colour coefficients, K = (degree + 1)².
    """

    def __init__(
        self,
        means: Float[Tensor, "n 3"],
        quats: Float[Tensor, "n 4"],
        log_scales: Float[Tensor, "n 3"],
        opacity_logits: Float[Tensor, " n"],
        sh: Float[Tensor, "n k 3"],
    ) -> None:
        super().__init__()
        self.means = nn.Parameter(means)
        self.quats = nn.Parameter(quats)
        self.log_scales = nn.Parameter(log_scales)
        self.opacity_logits = nn.Parameter(opacity_logits)
        self.sh = nn.Parameter(sh)

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        """Highest spherical-harmonic degree that is stored."""
        return int(self.sh.shape[1] ** 0.5) - 1

    @classmethod
    def empty(cls, n: int, sh_degree: int) -> GaussianSet:
        """A set of the given size to load a checkpoint into."""
        return cls(
            torch.zeros(n, 3),
            torch.zeros(n, 4),
            torch.zeros(n, 3),
            torch.zeros(n),
            torch.zeros(n, (sh_degree + 1) ** 2, 3),
        )
