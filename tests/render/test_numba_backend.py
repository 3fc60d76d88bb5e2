"""The CPU back-end against the float64 oracle, and what only a back-end can get wrong.

A pixel at one of the thresholds (alpha 1/255, transmittance 1e-4) may fall to different sides in float32 and float64;
it then differs by up to 4e-3. The seeds here have none; the errors in the comments are measured over these scenes.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.render.reference import ReferenceRasterizer
from ua3dtalk.render.types import Splats

PICTURES = ("rgb", "alpha", "depth", "extras")


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_is_the_reference(make, gradients_of, sh_degree: int) -> None:
    """Odd size (101 × 90), so that the last tiles are cut."""
    scene = make(seed=sh_degree, num_sh=16)
    out, gradients = gradients_of(NumbaRasterizer(), scene, sh_degree)
    expected, expected_gradients = gradients_of(ReferenceRasterizer(), scene.to(torch.float64), sh_degree)
    for name in PICTURES:
        error = (getattr(out, name) - getattr(expected, name)).abs().max().item()
        assert error <= 1e-5, name  # measured 1.3e-6
    for name, gradient in gradients.items():
        error = ((gradient - expected_gradients[name]).norm() / expected_gradients[name].norm()).item()
        assert error <= 1e-4, name  # measured 3e-6
    assert (out.means2d.radii - expected.means2d.radii).abs().max() <= 1  # ceil of nearly equal numbers


def test_gradients_where_the_jacobian_is_clamped(scene, gradients_of) -> None:
    """A crop leaves many Gaussians beyond the clamp whose edges still reach into the picture."""
    scene.splats.scales.mul_(3)
    scene = replace(scene, camera=scene.camera.crop(30, 50, 30, 60))
    _, gradients = gradients_of(NumbaRasterizer(), scene)
    _, expected = gradients_of(ReferenceRasterizer(), scene.to(torch.float64))
    for name, gradient in gradients.items():
        assert (gradient - expected[name]).norm() / expected[name].norm() < 1e-4, name  # measured 6e-6 (viewmat)


@pytest.mark.parametrize("picture", PICTURES)
def test_gradient_of_each_picture_alone(scene, picture: str) -> None:
    """The backward pass leaves out channels without a gradient."""

    def gradient(rasterizer, s):
        means = s.splats.means.clone().requires_grad_()
        extras = s.extras.clone().requires_grad_()
        out = rasterizer(replace(s.splats, means=means), s.camera, sh_degree=1, extras=extras)
        (getattr(out, picture) ** 2).sum().backward()
        return torch.cat([means.grad, extras.grad if extras.grad is not None else torch.zeros_like(extras)], -1)

    mine = gradient(NumbaRasterizer(), scene)
    expected = gradient(ReferenceRasterizer(), scene.to(torch.float64))
    assert (mine - expected).norm() / expected.norm() < 1e-4  # measured 1.2e-6


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(scene, gradients_of, threads: int) -> None:
    one, one_gradients = gradients_of(NumbaRasterizer(num_threads=1), scene)
    several, several_gradients = gradients_of(NumbaRasterizer(num_threads=threads), scene)
    for name in PICTURES:
        assert torch.equal(getattr(one, name), getattr(several, name))
    for name, gradient in one_gradients.items():
        assert torch.equal(gradient, several_gradients[name]), name


@pytest.mark.parametrize("field", [*(f.name for f in fields(Splats)), "extras"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_gaussians_are_left_out(scene, gradients_of, field: str, bad: float) -> None:
    values = scene.extras if field == "extras" else getattr(scene.splats, field)
    values.view(len(values), -1)[7, 0] = bad
    keep = torch.arange(len(values)) != 7
    out, gradients = gradients_of(NumbaRasterizer(), scene)
    rest = replace(
        scene,
        splats=Splats(*(getattr(scene.splats, f.name)[keep] for f in fields(Splats))),
        extras=scene.extras[keep],
    )
    expected, expected_gradients = gradients_of(NumbaRasterizer(), rest)
    for name in PICTURES:
        assert torch.equal(getattr(out, name), getattr(expected, name))
    for name, gradient in gradients.items():
        if name != "viewmat":
            assert not gradient[7].any()
            assert torch.equal(gradient[keep], expected_gradients[name]), name
    assert out.means2d.radii[7] == 0


def test_huge_and_degenerate_gaussians_do_no_harm(scene, gradients_of) -> None:
    scene.splats.scales[0] = 1e6
    scene.splats.scales[1] = 1e30  # its covariance overflows float32
    scene.splats.scales[2] = 0
    scene.splats.quats[3] = 0
    scene.splats.means[4] = torch.tensor([1e20, 0, 0])
    out, gradients = gradients_of(NumbaRasterizer(), scene)
    assert all(getattr(out, name).isfinite().all() for name in PICTURES)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_nothing_to_draw(make, gradients_of) -> None:
    """No Gaussian at all, and all of them behind the camera."""
    empty, _ = gradients_of(NumbaRasterizer(), make(n=0))
    assert not empty.rgb.any() and not empty.alpha.any() and empty.extras.shape == (90, 101, 2)
    scene = make(n=50)
    scene.camera.viewmat[2, 3] = -0.6
    out, gradients = gradients_of(NumbaRasterizer(), scene)
    assert not out.alpha.any() and not out.depth.any() and not out.means2d.radii.any()
    assert not any(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 31), (8, 40)])
def test_any_size(make, width: int, height: int) -> None:
    scene = make(n=400)
    out = NumbaRasterizer()(scene.splats, scene.camera.crop(40, 40 + height, 45, 45 + width))
    double = scene.to(torch.float64)
    expected = ReferenceRasterizer()(double.splats, double.camera.crop(40, 40 + height, 45, 45 + width))
    assert out.rgb.shape == (height, width, 3)
    assert out.alpha.any()
    assert (out.rgb - expected.rgb).abs().max() < 1e-5  # measured 3e-7


def test_a_crop_is_that_box_of_the_picture(scene) -> None:
    whole = NumbaRasterizer()(scene.splats, scene.camera)
    crop = NumbaRasterizer()(scene.splats, scene.camera.crop(20, 71, 30, 75))
    # The Jacobian's clamp starts closer by: measured 5e-3 at the crop's edge, 1e-6 several tiles inside.
    assert (crop.rgb - whole.rgb[20:71, 30:75]).abs().max() < 2e-3
    assert (crop.alpha - whole.alpha[20:71, 30:75])[16:32, 16:32].abs().max() < 1e-5


def test_wrong_input_is_refused(scene) -> None:
    with pytest.raises(ValueError, match="float32 on the CPU"):
        NumbaRasterizer()(scene.to(torch.float64).splats, scene.camera)
    with pytest.raises(ValueError, match="SH degree 3 does not fit 9"):
        NumbaRasterizer()(scene.splats, scene.camera, sh_degree=3)
    with pytest.raises(ValueError, match="same number of Gaussians"):
        NumbaRasterizer()(scene.splats, scene.camera, extras=scene.extras[:-1])
    with pytest.raises(ValueError, match="num_threads must be"):
        NumbaRasterizer(num_threads=0)


def test_a_picture_changed_in_place_is_noticed(scene) -> None:
    means = scene.splats.means.requires_grad_()
    out = NumbaRasterizer()(replace(scene.splats, means=means), scene.camera)
    loss = out.rgb.square().sum()
    with torch.no_grad():
        out.rgb.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
