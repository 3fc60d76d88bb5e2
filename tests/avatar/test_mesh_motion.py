"""Tests of the binding to the tracked mesh."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ua3dtalk.avatar.mesh_motion import LOWER_INNER_LIP, UPPER_INNER_LIP, MeshMotion, bind_to_mesh

CORNERS = (78, 308)


def face() -> tuple[Tensor, Tensor, Tensor]:
    """A flat face 0.1 m wide: an upper and a lower lip strip 2 mm apart, a sheet across the gap, and a brow patch."""
    mesh = torch.zeros(468, 3)
    mesh[:, 2] = 0.05
    mesh[CORNERS[0], 0], mesh[CORNERS[1], 0] = -0.03, 0.03
    triangles = []
    outer_upper, outer_lower = list(range(100, 109)), list(range(110, 119))
    for line, outer, sign in ((UPPER_INNER_LIP, outer_upper, 1), (LOWER_INNER_LIP, outer_lower, -1)):
        for i, (inner, out) in enumerate(zip(line, outer, strict=True)):
            x = -0.024 + 0.006 * i
            mesh[inner, 0], mesh[inner, 1] = x, sign * 0.001
            mesh[out, 0], mesh[out, 1] = x, sign * 0.011
        for a, b, c, d in zip(line[:-1], line[1:], outer[:-1], outer[1:], strict=True):
            triangles += [(a, b, c), (b, d, c)]
    for a, b, c, d in zip(
        UPPER_INNER_LIP[:-1], UPPER_INNER_LIP[1:], LOWER_INNER_LIP[:-1], LOWER_INNER_LIP[1:], strict=True
    ):
        triangles += [(a, b, c), (b, d, c)]
    mesh[200], mesh[201], mesh[202] = torch.tensor([[-0.02, 0.06, 0.05], [0.02, 0.06, 0.05], [0.0, 0.08, 0.05]])
    triangles.append((200, 201, 202))
    basis = torch.zeros(19, 468, 3)
    basis[0, [*LOWER_INNER_LIP, *outer_lower], 1] = -0.005  # the jaw
    basis[13, 200, 1] = 0.003  # a brow, one corner of its triangle
    return mesh, torch.tensor(triangles), basis


def test_points_between_the_lips_follow_their_own_lip() -> None:
    mesh, triangles, basis = face()
    points = torch.tensor([[0.001, 0.0002, 0.05], [0.001, -0.0002, 0.05], [0.001, 0.005, 0.05], [0.001, -0.005, 0.05]])
    jaw = bind_to_mesh(points, mesh, triangles, basis)[:, 0, 1]
    torch.testing.assert_close(jaw, torch.tensor([0.0, -0.005, 0.0, -0.005]))


def test_a_point_of_a_receding_upper_lip_does_not_follow_the_nearer_lower_lip() -> None:
    mesh, triangles, basis = face()
    mesh[[*UPPER_INNER_LIP, *range(100, 109)], 2] = 0.046
    jaw = bind_to_mesh(torch.tensor([[0.001, 0.0002, 0.05]]), mesh, triangles, basis)[:, 0, 1]
    torch.testing.assert_close(jaw, torch.zeros(1))


def test_lower_teeth_behind_the_lips_follow_the_jaw_upper_teeth_do_not() -> None:
    mesh, triangles, basis = face()
    points = torch.tensor([[0.001, 0.003, 0.038], [0.001, -0.003, 0.038]])  # 12 mm behind
    jaw = bind_to_mesh(points, mesh, triangles, basis)[:, 0, 1]
    fade = math.exp(-((0.012 - 0.006) ** 2) / 0.012**2)
    torch.testing.assert_close(jaw, torch.tensor([0.0, -0.005 * fade]), rtol=1e-4, atol=0)


def test_barycentric_inside_a_triangle_and_fading_away_from_it() -> None:
    mesh, triangles, basis = face()
    third = mesh[200:203].mean(0)
    points = torch.stack([mesh[200], third, third + torch.tensor([0, 0, 0.018]), third + torch.tensor([0, 0, 1.0])])
    brow = bind_to_mesh(points, mesh, triangles, basis)[:, 13, 1]
    torch.testing.assert_close(brow, torch.tensor([0.003, 0.001, 0.001 * math.exp(-1), 0.0]), rtol=1e-4, atol=1e-12)


def test_displacement_is_the_weighted_basis_with_a_gain_per_group() -> None:
    generator = torch.Generator().manual_seed(0)
    basis, lower, upper = (torch.randn(*shape, generator=generator) for shape in ((50, 19, 3), (13,), (6,)))
    motion = MeshMotion()
    plain = torch.einsum("nkc,k->nc", basis, torch.cat([lower, upper]))
    torch.testing.assert_close(motion(basis, lower, upper), plain, rtol=1e-4, atol=1e-5)  # measured 2e-6
    with torch.no_grad():
        motion.gain[0] = 0.5
    halved = torch.einsum("nkc,k->nc", basis, torch.cat([lower / 2, upper]))
    torch.testing.assert_close(motion(basis, lower, upper), halved, rtol=1e-4, atol=1e-5)
    motion(basis, lower, upper).sum().backward()
    assert motion.gain.grad is not None and bool((motion.gain.grad != 0).all())


@pytest.mark.parametrize("n", [0, 1])
def test_few_points(n: int) -> None:
    mesh, triangles, basis = face()
    assert bind_to_mesh(torch.zeros(n, 3), mesh, triangles, basis).shape == (n, 19, 3)
