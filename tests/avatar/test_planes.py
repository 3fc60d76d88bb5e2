"""Tests of the feature planes: kernels against plain torch and against grid_sample."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from ua3dtalk.avatar.planes import PlaneConfig, Planes, sample_planes_reference

CONFIGS = [
    PlaneConfig(base=16, multiples=(1, 2, 4), channels=8),
    PlaneConfig(base=5, multiples=(1,), channels=3),
    PlaneConfig(base=2, multiples=(1, 8), channels=17, half_extent_m=0.1),
]


def points(n: int = 700, half_extent_m: float = 0.2) -> torch.Tensor:
    """Some outside the planes, some on their borders and on grid points."""
    x = (torch.rand(n, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 2 * half_extent_m
    x[0], x[1], x[2] = 0.15, -0.15, 0.0
    return x


@pytest.mark.parametrize("config", CONFIGS)
def test_kernel_agrees_with_torch_in_values_and_gradients(config: PlaneConfig) -> None:
    planes, x = Planes(config, torch.Generator().manual_seed(0)), points()
    weight = torch.randn(config.width, len(x), generator=torch.Generator().manual_seed(2))
    fast = planes(x)
    (fast * weight).sum().backward()
    gradient = planes.table.grad
    reference = sample_planes_reference(planes.table, x, config).t()
    expected = torch.autograd.grad((reference * weight).sum(), planes.table)[0]
    torch.testing.assert_close(fast, reference, rtol=1e-6, atol=1e-7)  # measured 3e-8
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=3e-6)  # measured 4e-7 of values around 1


def test_reference_is_the_product_of_three_bilinear_planes() -> None:
    """Against torch's grid_sample, in float64: axes xy, yz, zx, corners aligned, border beyond the edge."""
    config = CONFIGS[0]
    table = torch.rand(config.rows, config.channels, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = points().double()
    levels = []
    for offset, r in zip(config.offsets, config.resolutions, strict=True):
        product = 1.0
        for plane, (first, second) in enumerate(((0, 1), (1, 2), (2, 0))):
            image = table[offset + plane * r * r : offset + (plane + 1) * r * r].view(r, r, -1).permute(2, 0, 1)[None]
            grid = torch.stack([x[:, second], x[:, first]], dim=-1)[None, None] / config.half_extent_m
            sampled = functional.grid_sample(image, grid, padding_mode="border", align_corners=True)
            product = product * sampled[0, :, 0].t()
        levels.append(product)
    ours = sample_planes_reference(table, x, config)
    torch.testing.assert_close(ours, torch.cat(levels, dim=1), rtol=1e-10, atol=1e-12)


def test_reference_gradient_by_finite_differences() -> None:
    config = PlaneConfig(base=2, multiples=(1, 2), channels=2)
    table = torch.rand(config.rows, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    x = points(6, 0.15).double()
    assert torch.autograd.gradcheck(lambda t: sample_planes_reference(t, x, config), table.requires_grad_())


def test_positions_get_no_gradient_and_start_is_positive() -> None:
    planes, x = Planes(CONFIGS[0], torch.Generator().manual_seed(0)), points().requires_grad_()
    planes(x).sum().backward()
    assert x.grad is None
    assert float(planes.table.detach().min()) >= 0.1 and float(planes.table.detach().max()) <= 0.5


def test_non_finite_positions_stay_inside_the_table() -> None:
    planes, x = Planes(CONFIGS[0], torch.Generator().manual_seed(0)), points(4)
    x[0, 0], x[1, 1], x[2, 2] = float("nan"), float("inf"), float("-inf")
    assert planes(x).isfinite().all()


_THREADS = """
import numba, torch
from ua3dtalk.avatar.fusion import fuse
from ua3dtalk.avatar.planes import PlaneConfig, Planes

def everything(threads):
    numba.set_num_threads(threads)
    g = torch.Generator().manual_seed(0)
    planes = Planes(PlaneConfig(base=16, multiples=(1, 2), channels=8), g)
    field = planes((torch.rand(3000, 3, generator=g) - 0.5) * 0.3)
    outputs = [torch.randn(4, 16, 3000, generator=g).requires_grad_() for _ in range(3)]
    fused = fuse(outputs)
    (field.square().sum() + fused.square().sum()).backward()
    return [field, fused, planes.table.grad, *(output.grad for output in outputs)]

assert all(torch.equal(a, b) for a, b in zip(everything(1), everything(2), strict=True))
"""


def test_one_and_two_threads_give_the_same_bits() -> None:
    environment = os.environ | {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", _THREADS], check=True, env=environment)


def test_config_sizes_and_refusals() -> None:
    config = PlaneConfig()
    assert config.resolutions == (64, 128, 256, 512) and config.width == 64
    assert config.rows == 3 * sum(r * r for r in config.resolutions)
    np.testing.assert_array_equal(config.offsets[:2], [0, 3 * 64 * 64])
    with pytest.raises(ValueError, match="base"):
        PlaneConfig(base=1)
