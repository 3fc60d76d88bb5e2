"""Poses of another head frame against ours: what is constant is fitted away, what is left is the difference."""

from __future__ import annotations

import numpy as np
import pytest
from made_folder import OPENGL, SHIFT, TURN
from scipy.spatial.transform import Rotation

from ua3dtalk.tracking.imported.pose_check import PoseDifference, compare_poses, poses_of_cameras
from ua3dtalk.tracking.projection import Poses, pixels_of
from ua3dtalk.tracking.topology import mean_face, rigid_vertices

SHAPE = mean_face().vertices[rigid_vertices()]
CENTRE = np.array([256.0, 250.0])


def wandering(frames: int = 60) -> Poses:
    time = np.arange(frames) / 10
    angles = 0.25 * np.stack([np.sin(time), np.cos(1.7 * time), 0.4 * np.sin(0.6 * time)], 1)
    turns = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_rotvec(angles).as_matrix()
    return Poses(turns, np.stack([0.02 * np.sin(time), 0.01 * np.cos(time), 0.7 + 0.02 * np.sin(2 * time)], 1))


def cameras(poses: Poses, scale: float) -> np.ndarray:
    """The same poses in a head frame that is ours turned, shifted and scaled, as their lists have them."""
    other = np.eye(4)
    other[:3, :3], other[:3, 3] = scale * TURN, scale * np.array(SHIFT)
    viewmats = poses.viewmats() @ np.linalg.inv(other)
    viewmats[:, :3] *= scale
    return np.linalg.inv(OPENGL @ viewmats)


def difference(own: Poses, theirs: np.ndarray) -> PoseDifference:
    points = pixels_of(own, SHAPE, 900.0, CENTRE)
    return compare_poses(own, poses_of_cameras(theirs), SHAPE, points, 900.0, CENTRE, 1.0)


@pytest.mark.parametrize("scale", [1.12, 40.0])
def test_another_head_frame_is_no_difference(scale: float) -> None:
    found = difference(wandering(), cameras(wandering(), scale))
    assert found.p95_deg < 1e-5 and found.reprojection_px < 1e-3
    assert found.scale == pytest.approx(scale, rel=1e-4)


def test_jitter_is_seen(rng: np.random.Generator) -> None:
    own = wandering()
    jitter = Rotation.from_rotvec(np.radians(0.5) * rng.standard_normal((len(own), 3))).as_matrix()
    found = difference(own, cameras(Poses(jitter @ own.rotations, own.translations), 1.12))
    assert 0.5 < found.median_deg < 1.2 < found.p95_deg < 2.5
    assert found.reprojection_px > 0.2


def test_poses_of_other_frames_and_other_axes_are_seen() -> None:
    own = wandering()
    assert difference(own, cameras(own, 1.12)[::-1].copy()).median_deg > 5
    assert difference(own, cameras(own, 1.12) @ OPENGL).reprojection_px > 20
