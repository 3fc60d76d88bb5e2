"""The CUDA back-end draws the same picture as the oracle."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.render.gsplat_backend import GsplatRasterizer
from ua3dtalk.render.reference import ReferenceRasterizer
from ua3dtalk.render.types import Splats

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="gsplat's kernels need a CUDA device")


def _on_device(scene):
    device = torch.device(torch.cuda.current_device())
    splats = Splats(*(getattr(scene.splats, f.name).to(device) for f in fields(Splats)))
    c = scene.camera
    return type(scene)(splats, scene.extras.to(device), Camera(c.viewmat.to(device), c.K.to(device), c.width, c.height))


@pytest.mark.parametrize("sh_degree", [0, 2])
def test_is_the_reference(scene, gradients_of, sh_degree: int) -> None:
    """Looser than the CPU's: gsplat uses the fast exponential, so single pixels may cross a threshold."""
    out, gradients = gradients_of(GsplatRasterizer(), _on_device(scene), sh_degree)
    expected, expected_gradients = gradients_of(ReferenceRasterizer(), scene.to(torch.float64), sh_degree)
    for name in ("rgb", "alpha", "depth", "extras"):
        error = (getattr(out, name).cpu() - getattr(expected, name)).abs()
        assert error.quantile(0.999) < 1e-4, name
        assert error.max() < 2 / 255, name
    for name, gradient in gradients.items():
        error = (gradient.cpu() - expected_gradients[name]).norm() / expected_gradients[name].norm()
        assert error < 1e-2, name


def test_without_extras(scene) -> None:
    scene = _on_device(scene)
    out = GsplatRasterizer()(scene.splats, scene.camera, sh_degree=2)
    with_extras = GsplatRasterizer()(scene.splats, scene.camera, sh_degree=2, extras=scene.extras)
    assert out.extras.shape == (90, 101, 0)
    assert torch.allclose(out.rgb, with_extras.rgb, atol=1e-5)


def test_non_finite_gaussians_are_left_out(scene, gradients_of) -> None:
    scene.splats.means[7, 0] = float("nan")
    out, gradients = gradients_of(GsplatRasterizer(), _on_device(scene))
    assert out.rgb.isfinite().all()
    assert not gradients["means"][7].any()
