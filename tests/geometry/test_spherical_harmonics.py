"""Spherical harmonics against gsplat's own torch code."""

from __future__ import annotations

import pytest
import torch
from gsplat.cuda._torch_impl import _spherical_harmonics

from ua3dtalk.geometry.spherical_harmonics import evaluate_sh, rgb_to_sh0, sh0_to_rgb, sh_basis


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_is_gsplats(degree: int) -> None:
    generator = torch.Generator().manual_seed(degree)
    sh = torch.randn(40, 16, 3, generator=generator, dtype=torch.float64)
    directions = 3 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    expected = (_spherical_harmonics(degree, directions, sh) + 0.5).clamp_min(0)
    assert (evaluate_sh(sh, directions, degree) - expected).abs().max() < 1e-12  # measured 9e-16


def test_basis_is_orthonormal() -> None:
    directions = torch.nn.functional.normalize(
        torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=-1
    )
    basis = sh_basis(directions, 3)
    gram = 4 * torch.pi * basis.T @ basis / len(basis)
    assert (gram - torch.eye(16)).abs().max() < 0.02  # Monte Carlo: measured 0.0045


def test_constant_coefficient_and_colour_are_inverse() -> None:
    rgb = torch.rand(5, 3)
    assert torch.allclose(sh0_to_rgb(rgb_to_sh0(rgb)), rgb, atol=1e-6)
    assert torch.allclose(evaluate_sh(rgb_to_sh0(rgb)[:, None], torch.ones(5, 3), 0), rgb, atol=1e-6)


def test_too_few_coefficients_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 9 coefficients, got 4"):
        evaluate_sh(torch.zeros(1, 4, 3), torch.ones(1, 3), 2)
    with pytest.raises(ValueError, match="0 to 3"):
        sh_basis(torch.ones(1, 3), 4)
