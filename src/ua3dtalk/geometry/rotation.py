"""Rotations as unit quaternions (``wxyz``), matrices and axis-angle vectors; batch first, differentiable."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def quats_to_matrices(quats_wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of quaternions.

    Args:
        quats_wxyz: Any norm above 0; normalised here.
    """
    w, x, y, z = F.normalize(quats_wxyz, dim=-1).unbind(-1)
    rows = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def matrices_to_quats(matrices: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions (``wxyz``, w ≥ 0) of rotation matrices.

    Of four equivalent formulas the one with the largest divisor is taken, so no rotation loses digits or gradient.

    Args:
        matrices: Proper rotations.
    """
    m = matrices.flatten(-2).unbind(-1)
    xx, yy, zz = m[0], m[4], m[8]
    squares = torch.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)  # 4q²
    a, b, c = m[7] - m[5], m[2] - m[6], m[3] - m[1]  # 4wx, 4wy, 4wz
    d, e, f = m[1] + m[3], m[2] + m[6], m[5] + m[7]  # 4xy, 4xz, 4yz
    s = squares.unbind(-1)
    products = torch.stack(
        [
            torch.stack([s[0], a, b, c], -1),
            torch.stack([a, s[1], d, e], -1),
            torch.stack([b, d, s[2], f], -1),
            torch.stack([c, e, f, s[3]], -1),
        ],
        -2,
    )  # [..., 4, 4]: row i is 4 q_i q
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quats = F.normalize(products.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quats[..., :1] < 0, -quats, quats)


def axis_angle_to_matrices(axis_angle_rad: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of axis-angle vectors (Rodrigues), differentiable at zero too.

    Args:
        axis_angle_rad: Axis times angle, radians.
    """
    x, y, z = axis_angle_rad.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    squared = (axis_angle_rad * axis_angle_rad).sum(-1)[..., None, None]
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)  # keeps the unused branch's gradient finite
    angle = safe.sqrt()
    first = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    return torch.eye(3, dtype=x.dtype, device=x.device) + first * skew + second * (skew @ skew)
