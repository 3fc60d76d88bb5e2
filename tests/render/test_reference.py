"""The oracle itself: against gsplat's torch code, finite differences, and simple cases known by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.spherical_harmonics import rgb_to_sh0
from ua3dtalk.render.reference import ReferenceRasterizer, project
from ua3dtalk.render.types import Splats


@pytest.mark.parametrize("shrink", [1, 4])
def test_projection_is_gsplats(scene, shrink: int) -> None:
    """Shrunk pictures put most centres outside, where the Jacobian is clamped."""
    scene = scene.to(torch.float64)
    camera = Camera(scene.camera.viewmat, scene.camera.K, 101 // shrink, 90 // shrink)
    projected = project(scene.splats, camera)
    covariances, _ = _quat_scale_to_covar_preci(scene.splats.quats, scene.splats.scales, True, False)
    assert covariances is not None
    _, means2d, depths, conics, _ = _fully_fused_projection(
        scene.splats.means, covariances, camera.viewmat[None], camera.K[None], camera.width, camera.height
    )
    inverse = torch.linalg.inv(projected.covariances)
    assert torch.allclose(projected.means2d, means2d[0], rtol=1e-10)
    assert torch.allclose(projected.depths, depths[0], rtol=1e-10)
    assert torch.allclose(torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], -1), conics[0], rtol=1e-9)


def test_gradients_by_finite_differences(make) -> None:
    """Seeds are free of pixels at a threshold: there the picture jumps and no difference quotient exists."""
    scene = make(n=3, width=8, height=7, seed=3).to(torch.float64)
    K, rasterizer = scene.camera.K, ReferenceRasterizer()
    weights = torch.randn(7, 8, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def draw(means, quats, scales, opacities, sh, extras, viewmat):
        out = rasterizer(
            Splats(means, quats, scales, opacities, sh), Camera(viewmat, K, 8, 7), sh_degree=2, extras=extras
        )
        pictures = torch.cat([out.rgb, out.alpha[..., None], out.depth[..., None], out.extras], -1)
        return (pictures * weights).sum()

    s = scene.splats
    inputs = (s.means, s.quats, s.scales, s.opacities, s.sh, scene.extras, scene.camera.viewmat)
    assert torch.autograd.gradcheck(draw, tuple(x.clone().requires_grad_() for x in inputs), eps=1e-7, atol=1e-5)


def _one(opacity: float, z: float, rgb: tuple[float, float, float]) -> Splats:
    return Splats(
        torch.tensor([[0.0, 0, z]]),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), 0.05),
        torch.tensor([opacity]),
        rgb_to_sh0(torch.tensor([rgb], dtype=torch.float32))[:, None],
    )


def _both(a: Splats, b: Splats) -> Splats:
    return Splats(*(torch.cat([x, y]) for x, y in zip(vars(a).values(), vars(b).values(), strict=True)))


CAMERA = Camera(torch.eye(4), torch.tensor([[100.0, 0, 5.5], [0, 100, 5.5], [0, 0, 1]]), 11, 11)


def test_two_gaussians_by_hand() -> None:
    """At the common centre: front .5, back .5 × .8; the order in memory does not matter."""
    for splats in (
        _both(_one(0.8, 2.0, (0, 1, 0)), _one(0.5, 1.0, (1, 0, 0))),
        _both(_one(0.5, 1.0, (1, 0, 0)), _one(0.8, 2.0, (0, 1, 0))),
    ):
        out = ReferenceRasterizer()(splats, CAMERA)
        assert torch.allclose(out.rgb[5, 5], torch.tensor([0.5, 0.4, 0.0]), atol=1e-6)
        assert out.alpha[5, 5].item() == pytest.approx(0.9, abs=1e-6)
        assert out.depth[5, 5].item() == pytest.approx(0.5 * 1 + 0.4 * 2, abs=1e-6)


def test_alpha_clamp_and_early_stop() -> None:
    """Two layers of .999 would leave 1e-6 < 1e-4: the second is not drawn at all."""
    out = ReferenceRasterizer()(_both(_one(1.0, 1.0, (1, 0, 0)), _one(1.0, 2.0, (0, 1, 0))), CAMERA)
    assert torch.allclose(out.rgb[5, 5], torch.tensor([0.999, 0, 0]), atol=1e-6)


def test_faint_gaussians_are_skipped() -> None:
    out = ReferenceRasterizer()(_one(0.9 / 255, 1.0, (1, 1, 1)), CAMERA)
    assert not out.alpha.any()
    assert out.means2d.radii.tolist() == [0]


def test_a_centre_behind_the_near_plane_is_not_drawn() -> None:
    splats = _one(0.9, 0.5, (1, 1, 1))
    for z in (-1.0, 0.005):
        out = ReferenceRasterizer()(replace(splats, means=torch.tensor([[0.0, 0, z]])), CAMERA)
        assert not out.alpha.any()
