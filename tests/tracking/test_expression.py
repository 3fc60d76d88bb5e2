"""Signals rise when the face does what they are named after; statistics come from training frames."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.subject.track_data import UPPER_NAMES
from ua3dtalk.tracking.bundle import FLIP
from ua3dtalk.tracking.expression import (
    AU_NAMES,
    activation,
    measure_expression,
    raw_signals,
    standardise,
    without_pose,
)
from ua3dtalk.tracking.head_frame import to_head_frame
from ua3dtalk.tracking.projection import Poses, pixels_of
from ua3dtalk.tracking.topology import LEFT_BROW, LEFT_CORNER, RIGHT_BROW, RIGHT_CORNER, mean_face, rigid_vertices

UPPER_LIDS = [159, 158, 160, 386, 385, 387]
LOWER_LIDS = [145, 144, 153, 374, 373, 380]
LOWER_LIP = [14, 87, 317, 178, 402, 17, 84, 314, 152]


def neutral() -> np.ndarray:
    vertices = mean_face().vertices
    return np.concatenate([vertices, np.repeat(vertices[[33]], 10, 0)])[None].copy()


def moved(indices: list[int], x: float = 0.0, y: float = 0.0) -> np.ndarray:
    face = neutral()
    face[:, indices] += [x, y, 0.0]
    return face


@pytest.mark.parametrize(
    ("name", "face"),
    [
        ("AU45", moved(UPPER_LIDS, y=-0.004)),
        ("AU01", moved([55, 107, 285, 336], y=0.004)),
        ("AU02", moved([70, 46, 63, 300, 276, 293], y=0.004)),
        ("AU04", moved([*LEFT_BROW, *RIGHT_BROW], y=-0.004)),
        ("AU05", moved(UPPER_LIDS, y=0.003)),
        ("AU07", moved(LOWER_LIDS, y=0.003)),
        ("AU12", moved([RIGHT_CORNER, LEFT_CORNER], y=0.005)),
        ("AU25", moved(LOWER_LIP, y=-0.006)),
        ("AU26", moved(LOWER_LIP, y=-0.006)),
    ],
)
def test_signals_rise_with_their_action(name: str, face: np.ndarray) -> None:
    assert raw_signals(face)[name][0] > raw_signals(neutral())[name][0] + 0.01


def speaking(num_frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Faces whose lower lip falls by a known amount."""
    fall = np.clip(np.sin(np.arange(num_frames) / 3) + 0.3 * rng.normal(size=num_frames), 0, None) * 0.01
    faces = np.repeat(neutral(), num_frames, 0)
    faces[:, LOWER_LIP, 1] -= fall[:, None]
    faces += rng.normal(size=faces.shape) * 2e-4
    return faces, fall


def test_lower_face_follows_the_mouth_and_is_standardised(rng: np.random.Generator) -> None:
    faces, fall = speaking(120, rng)
    train = np.arange(90)
    found = measure_expression(faces, rng.normal(size=(120, 3)) * 0.05, train)
    assert np.corrcoef(found.lower[:, -1], fall)[0, 1] > 0.98
    assert abs(np.corrcoef(found.lower[:, 0], fall)[0, 1]) > 0.98
    np.testing.assert_allclose(found.lower[train].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.lower[train].std(0), 1, atol=1e-4)
    assert found.upper.shape[1] == len(UPPER_NAMES) and found.action_units.shape[1] == len(AU_NAMES)


def test_mesh_basis_moves_the_mesh_as_the_landmarks_moved(rng: np.random.Generator) -> None:
    faces, _ = speaking(120, rng)
    found = measure_expression(faces, np.zeros((120, 3)), np.arange(120))
    coefficients = np.concatenate([found.lower, found.upper], 1)
    rebuilt = found.mesh + np.einsum("tk,kpi->tpi", coefficients, found.mesh_basis)
    error = np.linalg.norm(rebuilt - faces[:, :468], axis=-1)[:, LOWER_LIP].mean()
    assert error < 6e-4, "measured 0.29 mm: the noise that no coefficient explains"
    assert np.linalg.norm(faces[:, LOWER_LIP] - faces[:, LOWER_LIP].mean(0), axis=-1).mean() > 3e-3


def test_test_frames_do_not_touch_the_statistics(rng: np.random.Generator) -> None:
    faces, _ = speaking(100, rng)
    other = faces.copy()
    other[80:] = neutral() + np.array([0.0, 0.003, 0.0])
    train, angles = np.arange(80), rng.normal(size=(100, 3)) * 0.1
    a, b = measure_expression(faces, angles, train), measure_expression(other, angles, train)
    np.testing.assert_array_equal(a.lower[:80], b.lower[:80])
    np.testing.assert_array_equal(a.mesh_basis, b.mesh_basis)
    assert not np.array_equal(a.lower[80:], b.lower[80:])


def test_pose_is_taken_out_of_a_signal(rng: np.random.Generator) -> None:
    angles = rng.normal(size=(300, 3)) * 0.2
    truth = rng.normal(size=300)
    cleaned = without_pose(truth + 5 * angles[:, 0], angles, np.arange(200))
    assert abs(np.corrcoef(cleaned, angles[:, 0])[0, 1]) < 0.15
    assert np.corrcoef(cleaned, truth)[0, 1] > 0.98


def test_columns_that_never_move_become_zero() -> None:
    values = np.column_stack([np.arange(5.0), np.ones(5)])
    got = standardise(values, np.arange(5))
    assert (got[:, 1] == 0).all() and np.isfinite(got).all()
    assert np.isfinite(activation(np.ones(5), np.arange(5))).all()


def test_head_frame_undoes_pose(rng: np.random.Generator) -> None:
    """A rigid head under changing pose, with MediaPipe's weak-perspective z, must stand still in the head frame."""
    from scipy.spatial.transform import Rotation

    num, focal, centre = 20, 850.0, np.array([256.0, 256.0])
    turns = Rotation.from_euler("xyz", rng.normal(size=(num, 3)) * np.radians([6, 12, 5])).as_matrix()
    poses = Poses(turns @ FLIP, np.tile([0.0, 0.0, 0.65], (num, 1)))
    face = neutral()[0]
    xy = pixels_of(poses, face, focal, centre)
    z = np.einsum("tj,pj->tp", poses.rotations[:, 2], face) * focal / 0.65
    landmarks = np.concatenate([xy, z[..., None]], -1)
    points = to_head_frame(landmarks, poses, mean_face().vertices[rigid_vertices()], focal, centre)
    spread = np.linalg.norm(points - points.mean(0), axis=-1).mean()
    assert spread < 1e-9, "measured 4e-17 m"
    assert np.linalg.norm(points.mean(0) - face, axis=-1).mean() < 1e-9, "measured 7e-17 m"
