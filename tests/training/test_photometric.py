"""The photometric loss against autograd in float64."""

from __future__ import annotations

import pytest
import torch

from ua3dtalk.training.photometric import photometric_loss, photometric_reference


def _images(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(height, width, 3, generator=generator)
    target = (image + 0.1 * torch.randn(height, width, 3, generator=generator)).clamp(0, 1)
    return image, target, 1 + torch.rand(height, width, 1, generator=generator)


@pytest.mark.parametrize("size", [(70, 61), (11, 40)])
@pytest.mark.parametrize("weighted", [True, False])
def test_value_and_gradient_match_autograd(size: tuple[int, int], weighted: bool) -> None:
    image, target, weight = _images(*size)
    chosen = weight if weighted else None
    fast, slow = image.clone().requires_grad_(), image.double().requires_grad_()
    got = photometric_loss(fast, target, chosen)
    want = photometric_reference(slow, target.double(), None if chosen is None else chosen.double())
    got.backward()
    want.backward()
    assert fast.grad is not None and slow.grad is not None
    # Measured 5e-9 relative in value and 5e-7 of the largest gradient; margin 10.
    assert got.item() == pytest.approx(want.item(), rel=1e-6)
    assert (fast.grad - slow.grad).abs().max() < 5e-6 * slow.grad.abs().max()


def test_identical_images_cost_nothing() -> None:
    image, _, _ = _images(40, 40)
    assert photometric_loss(image, image.clone()).item() == pytest.approx(0.0, abs=1e-6)


def test_image_smaller_than_the_window_has_no_structural_term() -> None:
    image, target, _ = _images(3, 5)
    assert photometric_loss(image, target).item() == pytest.approx(0.8 * (image - target).abs().mean().item(), rel=1e-5)
