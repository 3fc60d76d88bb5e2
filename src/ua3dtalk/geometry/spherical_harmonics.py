"""View-dependent colour by real spherical harmonics, in the convention of 3DGS and gsplat."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SH_C0 = 0.28209479177387814
"""Value of the constant harmonic."""
MAX_SH_DEGREE = 3


def rgb_to_sh0(rgb: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Constant coefficient that shows the colour ``rgb``."""
    return (rgb - 0.5) / SH_C0


def sh0_to_rgb(sh0: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Colour that the constant coefficient shows (not clamped)."""
    return sh0 * SH_C0 + 0.5


def sh_basis(directions: Float[Tensor, "n 3"], degree: int) -> Float[Tensor, "n k"]:
    """Harmonics at unit directions, K = (degree + 1)² of them (Sloan, JCGT 2013).

    Args:
        directions: Unit vectors from the camera to the Gaussians.
        degree: 0 to 3.

    Raises:
        ValueError: another degree.
    """
    if not 0 <= degree <= MAX_SH_DEGREE:
        raise ValueError(f"The SH degree must be 0 to {MAX_SH_DEGREE}, got {degree}.")
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        basis += [-0.48860251190292 * y, 0.48860251190292 * z, -0.48860251190292 * x]
    xx, yy, zz = x * x, y * y, z * z
    if degree >= 2:
        basis += [1.0925484305920792 * x * y, -1.0925484305920792 * y * z]
        basis += [0.9461746957575601 * zz - 0.31539156525252005]
        basis += [-1.0925484305920792 * x * z, 0.5462742152960396 * (xx - yy)]
    if degree >= 3:
        basis += [-0.5900435899266435 * y * (3 * xx - yy), 2.890611442640554 * x * y * z]
        basis += [-0.4570457994644658 * y * (5 * zz - 1), 0.3731763325901154 * z * (5 * zz - 3)]
        basis += [-0.4570457994644658 * x * (5 * zz - 1), 1.445305721320277 * z * (xx - yy)]
        basis += [-0.5900435899266435 * x * (xx - 3 * yy)]
    return torch.stack(basis, -1)


def evaluate_sh(sh: Float[Tensor, "n k 3"], directions: Float[Tensor, "n 3"], degree: int) -> Float[Tensor, "n 3"]:
    """Colours seen along ``directions``: the series + 0.5, not below 0.

    Args:
        sh: Coefficients; those above ``degree`` are not used.
        directions: From the camera to the Gaussians, any length above 0.
        degree: Highest degree used, 0 to 3.

    Raises:
        ValueError: fewer coefficients than the degree needs.
    """
    count = (degree + 1) ** 2
    if sh.shape[1] < count:
        raise ValueError(f"SH degree {degree} needs {count} coefficients, got {sh.shape[1]}.")
    basis = sh_basis(F.normalize(directions, dim=-1), degree)
    return (torch.einsum("nk,nkc->nc", basis, sh[:, :count]) + 0.5).clamp_min(0.0)
