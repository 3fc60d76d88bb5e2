"""A head-like scene for all rasterizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import pytest
import torch
from torch import Tensor

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.rotation import axis_angle_to_matrices
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.render.types import RenderOutput, Splats


@dataclass(frozen=True)
class Scene:
    """Gaussians on a head-sized ellipsoid, 0.6 m before a slightly turned camera."""

    splats: Splats
    extras: Tensor
    camera: Camera

    def to(self, dtype: torch.dtype) -> Scene:
        splats = Splats(*(getattr(self.splats, f.name).to(dtype) for f in fields(Splats)))
        c = self.camera
        return Scene(splats, self.extras.to(dtype), Camera(c.viewmat.to(dtype), c.K.to(dtype), c.width, c.height))


def make_scene(n: int = 700, width: int = 101, height: int = 90, seed: int = 0, num_sh: int = 9) -> Scene:
    g = torch.Generator().manual_seed(seed)
    normal = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=-1)
    means = normal * torch.tensor([0.08, 0.11, 0.09])
    pixel_m = 0.6 / (2 * width)
    scales = pixel_m * (0.5 + 4 * torch.rand(n, 3, generator=g))
    opacities = 0.05 + 0.949 * torch.rand(n, generator=g)
    sh = 0.4 * torch.randn(n, num_sh, 3, generator=g)  # some colours are clamped at 0
    splats = Splats(means, 1.7 * torch.randn(n, 4, generator=g), scales, opacities, sh)
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[:3, :3] = axis_angle_to_matrices(torch.tensor([0.1, -0.3, 0.2])) @ viewmat[:3, :3]
    viewmat[:3, 3] = torch.tensor([0.01, -0.02, 0.6])
    K = torch.tensor([[2.0 * width, 0, 0.52 * width], [0, 2.1 * width, 0.47 * height], [0, 0, 1]])
    return Scene(splats, torch.rand(n, 2, generator=g), Camera(viewmat, K, width, height))


def render_with_gradients(
    rasterizer: Rasterizer, scene: Scene, sh_degree: int = 2, seed: int = 0
) -> tuple[RenderOutput, dict[str, Tensor]]:
    """A rendering, and the gradients of a random linear loss on all of its pictures by every input."""
    leaves = {f.name: getattr(scene.splats, f.name).clone().requires_grad_() for f in fields(Splats)}
    leaves["extras"] = scene.extras.clone().requires_grad_()
    leaves["viewmat"] = scene.camera.viewmat.clone().requires_grad_()
    camera = Camera(leaves["viewmat"], scene.camera.K, scene.camera.width, scene.camera.height)
    splats = Splats(*(leaves[f.name] for f in fields(Splats)))
    out = rasterizer(splats, camera, sh_degree=sh_degree, extras=leaves["extras"])
    g = torch.Generator().manual_seed(seed)
    pictures = (out.rgb, out.alpha, out.depth, out.extras)
    weights = [torch.randn(p.shape, generator=g).to(p) for p in pictures]
    torch.stack([(p * w).sum() for p, w in zip(pictures, weights, strict=True)]).sum().backward()
    gradients = {name: leaf.grad for name, leaf in leaves.items()}
    gradients["means2d"] = out.means2d.grad
    assert all(gradient is not None for gradient in gradients.values())
    return out, gradients  # type: ignore[return-value]


@pytest.fixture
def scene() -> Scene:
    return make_scene()


@pytest.fixture
def make() -> Callable[..., Scene]:
    return make_scene


@pytest.fixture
def gradients_of() -> Callable[..., tuple[RenderOutput, dict[str, Tensor]]]:
    return render_with_gradients
