"""Training motion networks at few Gaussians: the others move by the weighted mean of their nearest (ours).

The networks are a smooth field over the head, sampled at the Gaussians, which lie closer together than the field's
finest planes can tell apart. So a training step asks it at a random share of them and interpolates; the share is drawn
anew every few steps, so that the field is taught everywhere. Trained, it is asked at the Gaussians themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from torch import Tensor

from ua3dtalk.avatar.branch import Motion
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.mesh_motion import MeshMotion

NEAREST = 3
COINCIDENT_M2 = 1e-12
"""Added to square distances: a micrometre squared."""
FEWEST = 1000
"""Layers with fewer Gaussians are not thinned: they cost nothing."""


@dataclass(frozen=True)
class Thinning:
    """Some of a layer's Gaussians, and how the others follow them. On the CPU."""

    anchors: Int[Tensor, " a"]
    weights: csr_array
    """[N, A]: of each Gaussian's nearest anchors by inverse square distance, summing to 1; an anchor follows itself."""

    @classmethod
    def draw(cls, means: Float[Tensor, "n 3"], share: float, generator: torch.Generator) -> Thinning | None:
        """A random share of the Gaussians; None where all shall take part.

        Args:
            means: Positions, metres.
            share: Of all, in (0, 1].
            generator: Draws them.
        """
        n = len(means)
        if share >= 1 or n < FEWEST:
            return None
        anchors = torch.randperm(n, generator=generator)[: max(round(n * share), NEAREST)].sort().values
        points = means.detach().numpy().astype(np.float64)
        distances, near = KDTree(points[anchors.numpy()]).query(points, NEAREST)
        weights = 1 / (distances**2 + COINCIDENT_M2)
        weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
        rows = np.arange(0, near.size + 1, NEAREST)
        return cls(anchors, csr_array((weights.ravel(), near.ravel(), rows), shape=(n, len(anchors))))

    def spread(
        self, motion: Motion, mesh: MeshMotion | None, basis: Float[Tensor, "n 19 3"], given: Conditions
    ) -> Motion:
        """Motion of all Gaussians from that of the anchors, without maps.

        Args:
            motion: What the networks say at the anchors.
            mesh: The mesh's own motion, which every Gaussian has for itself.
            basis: Of all Gaussians.
            given: What drives the frame.
        """
        learnt = motion.learnt()
        residual, *shape = self.mean(torch.cat(learnt, dim=1)).split([part.shape[1] for part in learnt], dim=1)
        d_means = residual if mesh is None else residual + mesh(basis, given.lower, given.upper)
        return Motion(d_means, *shape, residual=residual, gate_penalty=motion.gate_penalty)

    def mean(self, values: Float[Tensor, "a c"]) -> Float[Tensor, "n c"]:
        """What every Gaussian's nearest anchors have, by weight."""
        return _SparseProduct.apply(values, self.weights)


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: csr_array) -> Tensor:
        ctx.weights = weights
        return torch.from_numpy(weights @ values.detach().numpy())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.weights.T @ gradients[0].contiguous().numpy()), None
