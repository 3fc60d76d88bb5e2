"""Camera: position, crop, scale."""

from __future__ import annotations

import pytest
import torch

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.rotation import axis_angle_to_matrices


@pytest.fixture
def camera() -> Camera:
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = axis_angle_to_matrices(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64))
    viewmat[:3, 3] = torch.tensor([0.1, 0.2, 0.7])
    K = torch.tensor([[500.0, 0, 128], [0, 510, 120], [0, 0, 1]], dtype=torch.float64)
    return Camera(viewmat, K, 256, 240)


def _pixel(camera: Camera, point: torch.Tensor) -> torch.Tensor:
    p = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    return p[:2] / p[2]


def test_position_maps_to_the_camera_origin(camera: Camera) -> None:
    seen = camera.viewmat[:3, :3] @ camera.position() + camera.viewmat[:3, 3]
    assert seen.abs().max() < 1e-12


def test_crop_shifts_pixels_and_leaves_the_original_alone(camera: Camera) -> None:
    point = torch.tensor([0.02, 0.03, 0.01], dtype=torch.float64)
    before = camera.K.clone()
    crop = camera.crop(30, 70, 50, 110)
    assert (crop.width, crop.height) == (60, 40)
    assert torch.allclose(_pixel(crop, point), _pixel(camera, point) - torch.tensor([50.0, 30.0]))
    assert torch.equal(camera.K, before)


def test_scaled_scales_pixels(camera: Camera) -> None:
    point = torch.tensor([0.02, 0.03, 0.01], dtype=torch.float64)
    half = camera.scaled(0.5)
    assert (half.width, half.height) == (128, 120)
    assert torch.allclose(_pixel(half, point), _pixel(camera, point) / 2)


def test_an_empty_picture_is_refused(camera: Camera) -> None:
    with pytest.raises(ValueError, match="at least 1×1"):
        camera.crop(10, 10, 0, 5)
