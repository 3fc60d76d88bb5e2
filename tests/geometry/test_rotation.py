"""Rotations against scipy, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ua3dtalk.geometry.rotation import axis_angle_to_matrices, matrices_to_quats, quats_to_matrices


@pytest.fixture
def rotations(rng: np.random.Generator) -> Rotation:
    """Random ones, half turns (where w = 0) and none at all."""
    half_turns = Rotation.from_rotvec(np.pi * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0]]))
    return Rotation.concatenate([Rotation.random(50, rng), half_turns, Rotation.identity(1)])


def test_quats_to_matrices_is_scipys_at_any_norm(rotations: Rotation) -> None:
    quats = torch.from_numpy(np.roll(rotations.as_quat(), 1, axis=-1)) * 2.5
    assert np.allclose(quats_to_matrices(quats), rotations.as_matrix(), atol=1e-12)


def test_matrices_to_quats_comes_back(rotations: Rotation) -> None:
    matrices = torch.from_numpy(rotations.as_matrix())
    quats = matrices_to_quats(matrices)
    assert (quats[:, 0] >= 0).all()
    assert torch.allclose(quats_to_matrices(quats), matrices, atol=1e-12)


def test_axis_angle_is_scipys_also_for_tiny_angles(rotations: Rotation) -> None:
    for factor in (1.0, 1e-4, 1e-9, 0.0):
        vectors = rotations.as_rotvec() * factor
        expected = Rotation.from_rotvec(vectors).as_matrix()
        assert np.allclose(axis_angle_to_matrices(torch.from_numpy(vectors)), expected, atol=1e-12)


def test_batch_dimensions_are_kept() -> None:
    assert axis_angle_to_matrices(torch.zeros(2, 5, 3)).shape == (2, 5, 3, 3)
    assert matrices_to_quats(torch.eye(3).expand(2, 5, 3, 3)).shape == (2, 5, 4)


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    vectors[0] = 0
    vectors[1] *= 1e-5
    vectors.requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrices, (vectors,))
    assert torch.autograd.gradcheck(lambda v: matrices_to_quats(axis_angle_to_matrices(v)), (vectors,))
