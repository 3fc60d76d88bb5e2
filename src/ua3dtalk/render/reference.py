"""The oracle: a short, slow rasterizer in plain torch, in any float type, with autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.rotation import quats_to_matrices
from ua3dtalk.geometry.spherical_harmonics import evaluate_sh
from ua3dtalk.render.rasterizer import (
    CLAMP_MARGIN,
    DILATION_PX2,
    FAR_M,
    MAX_ALPHA,
    MIN_ALPHA,
    MIN_TRANSMITTANCE,
    NEAR_M,
)
from ua3dtalk.render.types import Means2d, RenderOutput, Splats


@dataclass(frozen=True)
class Projected:
    """Gaussians on the picture."""

    means2d: Float[Tensor, "n 2"]
    """Centres, pixels."""
    covariances: Float[Tensor, "n 2 2"]
    """Dilated, pixels²."""
    depths: Float[Tensor, " n"]
    """z in the camera, metres."""
    visible: Bool[Tensor, " n"]
    """In front of the camera, opaque enough and finite."""


def project(splats: Splats, camera: Camera) -> Projected:
    """EWA projection (Zwicker et al. 2001) with gsplat's clamped Jacobian.

    Args:
        splats: Gaussians.
        camera: View.
    """
    rotation, K = camera.viewmat[:3, :3], camera.K
    centres = splats.means @ rotation.T + camera.viewmat[:3, 3]  # [N, 3]
    depths = centres[:, 2]
    visible = _finite(splats) & (depths >= NEAR_M) & (depths <= FAR_M) & (splats.opacities >= MIN_ALPHA)
    z = torch.where(visible, depths, torch.ones_like(depths))  # keeps what is not drawn finite
    focal, principal = torch.stack([K[0, 0], K[1, 1]]), K[:2, 2]
    size = torch.tensor([camera.width, camera.height], dtype=z.dtype, device=z.device)
    slopes = centres[:, :2] / z[:, None]
    margin = CLAMP_MARGIN * size / focal
    clamped = torch.minimum(torch.maximum(slopes, -principal / focal - margin), (size - principal) / focal + margin)
    axes = rotation @ quats_to_matrices(splats.quats) * splats.scales[:, None, :]  # [N, 3, 3], camera axes × own axes
    spread = (focal / z[:, None])[..., None] * (axes[:, :2] - clamped[..., None] * axes[:, 2:])  # [N, 2, 3]
    dilation = DILATION_PX2 * torch.eye(2, dtype=z.dtype, device=z.device)
    return Projected(slopes * focal + principal, spread @ spread.mT + dilation, depths, visible)


class ReferenceRasterizer:
    """Every Gaussian against every pixel: memory N × H × W."""

    name = "reference"

    def __call__(
        self, splats: Splats, camera: Camera, *, sh_degree: int = 0, extras: Float[Tensor, "n e"] | None = None
    ) -> RenderOutput:
        """See ``Rasterizer``."""
        projected = project(splats, camera)
        if extras is None:
            extras = splats.means.new_zeros(len(splats), 0)
        visible = projected.visible & extras.isfinite().all(-1)
        order = torch.argsort(projected.depths.float(), stable=True)  # float32, as the fast back-ends sort
        order = order[visible[order]]
        rgb = evaluate_sh(splats.sh, splats.means - camera.position(), sh_degree)
        means2d = projected.means2d
        holder = Means2d(_radii(projected, splats.opacities, visible, camera))
        if means2d.requires_grad:
            means2d.register_hook(lambda grad: setattr(holder, "grad", grad))
        channels = torch.cat([rgb, projected.depths[:, None], extras], -1)[order]
        weights = _weights(means2d[order], projected.covariances[order], splats.opacities[order], camera)
        picture = torch.einsum("nhw,nc->hwc", weights, channels)
        return RenderOutput(picture[..., :3], weights.sum(0), picture[..., 3], picture[..., 4:], holder)


def _weights(
    means2d: Float[Tensor, "n 2"], covariances: Float[Tensor, "n 2 2"], opacities: Float[Tensor, " n"], camera: Camera
) -> Float[Tensor, "n h w"]:
    """Share of each Gaussian, front to back, in each pixel."""
    columns = torch.arange(camera.width, dtype=means2d.dtype, device=means2d.device) + 0.5
    rows = torch.arange(camera.height, dtype=means2d.dtype, device=means2d.device) + 0.5
    dx = columns - means2d[:, 0, None, None]  # [N, 1, W]
    dy = rows[:, None] - means2d[:, 1, None, None]  # [N, H, 1]
    conics = torch.linalg.inv(covariances)[..., None, None]
    sigma = 0.5 * (conics[:, 0, 0] * dx * dx + conics[:, 1, 1] * dy * dy) + conics[:, 0, 1] * dx * dy
    alpha = (opacities[:, None, None] * torch.exp(-sigma)).clamp_max(MAX_ALPHA)
    alpha = torch.where(alpha >= MIN_ALPHA, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, 0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    return torch.where(after > MIN_TRANSMITTANCE, alpha * before, torch.zeros_like(alpha))


def _finite(splats: Splats) -> Bool[Tensor, " n"]:
    """Which Gaussians can be drawn at all."""
    parts = (splats.means, splats.quats, splats.scales, splats.opacities[:, None], splats.sh.flatten(1))
    return torch.cat(parts, -1).isfinite().all(-1) & (splats.quats.square().sum(-1) > 0)


@torch.no_grad()
def _radii(projected: Projected, opacities: Tensor, visible: Tensor, camera: Camera) -> Tensor:
    """Half extents where alpha reaches its threshold; 0 where no pixel centre is met."""
    extent = (2 * torch.log(opacities / MIN_ALPHA).clamp_min(0)).sqrt()[:, None]
    half = extent * projected.covariances.diagonal(dim1=-2, dim2=-1).sqrt()  # [N, 2]
    last = torch.tensor([camera.width, camera.height], device=half.device) - 1
    first_pixel = torch.ceil(projected.means2d - half - 0.5).clamp_min(0)
    last_pixel = torch.minimum(torch.floor(projected.means2d + half - 0.5), last)
    drawn = visible & (first_pixel <= last_pixel).all(-1)
    return torch.where(drawn, half.amax(-1).ceil(), torch.zeros_like(half[:, 0])).int()
