"""One layer of the avatar: the Gaussians of a region and the network that moves them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ua3dtalk.avatar.branch import Branch, BranchConfig, Motion
from ua3dtalk.avatar.mesh_motion import bind_to_mesh
from ua3dtalk.gaussians.gaussian_set import GaussianSet
from ua3dtalk.render.types import Splats
from ua3dtalk.subject.track_data import TrackData


class AvatarLayer(nn.Module):
    """Face or mouth: one class, two configurations.

    Args:
        gaussians: Gaussians at rest, head frame.
        motion: The network that moves them.
        mesh_basis: Displacement of each Gaussian per unit of each expression coefficient, metres.
    """

    mesh_basis: Tensor

    def __init__(self, gaussians: GaussianSet, motion: Branch, mesh_basis: Float[Tensor, "n 19 3"]) -> None:
        super().__init__()
        self.gaussians = gaussians
        self.motion = motion
        self.register_buffer("mesh_basis", mesh_basis)

    @classmethod
    def create(
        cls,
        gaussians: GaussianSet,
        config: BranchConfig,
        track: TrackData,
        triangles: Int[np.ndarray, "f 3"],
        generator: torch.Generator,
    ) -> AvatarLayer:
        """A fresh layer, bound to the tracked mesh.

        Args:
            gaussians: Initial Gaussians.
            config: Configuration of the motion network.
            track: Tracked head: mesh and its basis.
            triangles: Triangles of the mesh, ``[F, 3]``.
            generator: Draws the initial weights.
        """
        mesh, basis = torch.from_numpy(track.mesh), torch.from_numpy(track.mesh_basis)
        bound = bind_to_mesh(gaussians.means.detach(), mesh, torch.from_numpy(triangles), basis)
        return cls(gaussians, Branch(config, generator), bound)

    @classmethod
    def template(cls, n: int, sh_degree: int, config: BranchConfig) -> AvatarLayer:
        """A layer of the right shapes to load a checkpoint into."""
        return cls(GaussianSet.empty(n, sh_degree), Branch(config, torch.Generator()), torch.zeros(n, 19, 3))

    def splats(self, motion: Motion | None) -> Splats:
        """The Gaussians, moved and activated.

        Args:
            motion: From ``self.motion``; None leaves them at rest.
        """
        g = self.gaussians
        means, quats, log_scales = g.means, g.quats, g.log_scales
        if motion is not None:
            means = means + motion.d_means
            quats = quats if motion.d_quats is None else quats + motion.d_quats
            log_scales = log_scales if motion.d_log_scales is None else log_scales + motion.d_log_scales
        return Splats(
            means=means, quats=quats, scales=log_scales.exp(), opacities=torch.sigmoid(g.opacity_logits), sh=g.sh
        )
