"""The CUDA back-end: gsplat behind the project's protocol."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.render.rasterizer import DILATION_PX2, FAR_M, NEAR_M
from ua3dtalk.render.types import Means2d, RenderOutput, Splats


class GsplatRasterizer:
    """gsplat's kernels (Ye et al. 2024); differs from the CPU back-end by rounding only."""

    name = "gsplat"

    def __call__(
        self, splats: Splats, camera: Camera, *, sh_degree: int = 0, extras: Float[Tensor, "n e"] | None = None
    ) -> RenderOutput:
        """See ``Rasterizer``."""
        from gsplat import rasterization  # not at the top: machines without CUDA do not need it

        splats, extras = _without_non_finite(splats, extras)
        # gsplat takes coefficients or plain channels, not both, so with extras the colour is evaluated here.
        colors: Tensor = splats.sh
        degree: int | None = sh_degree
        if extras is not None:
            colors = torch.cat([_colors(splats, camera, sh_degree), extras], -1)
            degree = None
        picture, alpha, info = rasterization(
            splats.means,
            splats.quats,
            splats.scales,
            splats.opacities,
            colors,
            camera.viewmat[None],
            camera.K[None],
            camera.width,
            camera.height,
            near_plane=NEAR_M,
            far_plane=FAR_M,
            eps2d=DILATION_PX2,
            sh_degree=degree,
            packed=False,
            render_mode="RGB+D",
        )
        means2d = Means2d(info["radii"][0].amax(-1))
        if info["means2d"].requires_grad:
            info["means2d"].register_hook(lambda grad: setattr(means2d, "grad", grad[0]))
        return RenderOutput(picture[0, ..., :3], alpha[0, ..., 0], picture[0, ..., -1], picture[0, ..., 3:-1], means2d)


def _colors(splats: Splats, camera: Camera, sh_degree: int) -> Float[Tensor, "n 3"]:
    """Colours as gsplat evaluates them inside."""
    from gsplat import spherical_harmonics

    directions = splats.means - camera.position()
    return (spherical_harmonics(sh_degree, directions, splats.sh) + 0.5).clamp_min(0.0)


def _without_non_finite(splats: Splats, extras: Tensor | None) -> tuple[Splats, Tensor | None]:
    """Gaussians with a non-finite number become invisible ones without gradient, as on the CPU."""
    parts = [splats.means, splats.quats, splats.scales, splats.opacities[:, None], splats.sh.flatten(1)]
    parts += [] if extras is None else [extras]
    good = torch.cat(parts, -1).isfinite().all(-1)
    if bool(good.all()):
        return splats, extras
    keep = lambda values, fill: torch.where(good.view(-1, *[1] * (values.dim() - 1)), values, fill)  # noqa: E731
    identity = torch.eye(4, device=good.device)[0]
    cleaned = Splats(
        keep(splats.means, torch.zeros_like(splats.means)),
        keep(splats.quats, identity.expand_as(splats.quats)),
        keep(splats.scales, torch.ones_like(splats.scales)),
        keep(splats.opacities, torch.zeros_like(splats.opacities)),
        keep(splats.sh, torch.zeros_like(splats.sh)),
    )
    return cleaned, None if extras is None else keep(extras, torch.zeros_like(extras))
