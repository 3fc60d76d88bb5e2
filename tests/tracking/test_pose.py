"""Pose against known truth: projected points of a known head with noise like that of landmarks and flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from ua3dtalk.tracking.bundle import FLIP, Bundle, fit_bundle, solve_poses
from ua3dtalk.tracking.pose import (
    CHUNK_FRAMES,
    Observations,
    PoseConfig,
    flow_error_px,
    refine_poses,
    reprojection_px,
    solve_block_tridiagonal,
)
from ua3dtalk.tracking.projection import Poses, pixels_of, project
from ua3dtalk.tracking.topology import front_of_rigid, mean_face, rigid_vertices

CENTRE = np.array([256.0, 256.0])
FOCAL = 850.0


def true_poses(num_frames: int, rng: np.random.Generator) -> Poses:
    angles = gaussian_filter1d(rng.normal(size=(num_frames, 3)), 6, axis=0)
    angles *= np.radians([8, 18, 6]) / angles.std(0)
    moves = gaussian_filter1d(rng.normal(size=(num_frames, 3)), 6, axis=0)
    moves *= np.array([0.01, 0.01, 0.01]) / moves.std(0)
    rotations = Rotation.from_euler("xyz", angles).as_matrix() @ FLIP
    return Poses(rotations, moves + np.array([0, 0, 0.65]))


def degrees_apart(a: Poses, b: Poses) -> np.ndarray:
    relative = a.rotations @ b.rotations.transpose(0, 2, 1)
    return np.degrees(Rotation.from_matrix(relative).magnitude())


def observe(poses: Poses, rng: np.random.Generator) -> Observations:
    """Landmarks with 1 px of noise that is shared by neighbouring points, as a detector's is; flow with 0.05 px."""
    shape = mean_face().vertices[rigid_vertices()]
    where = pixels_of(poses, shape, FOCAL, CENTRE)
    wobble = rng.normal(size=(len(poses), 2, 4)) * [1.0, 4.0, 4.0, 4.0]
    basis = np.column_stack([np.ones(len(shape)), shape / 0.1])
    points = where + np.einsum("tik,pk->tpi", wobble, basis) + rng.normal(size=where.shape) * 0.5
    flow = np.diff(where, axis=0) + rng.normal(size=(len(poses) - 1, len(shape), 2)) * 0.05
    flow[:, ~front_of_rigid()] = np.nan
    return Observations(points, np.ones(len(poses), bool), flow.astype(np.float32), CENTRE, 1.0)


def test_derivatives_by_pose_agree_with_differences(rng: np.random.Generator) -> None:
    poses = true_poses(3, rng)
    shape = mean_face().vertices[rigid_vertices()][:5]
    analytic = project(poses, shape, FOCAL, CENTRE).by_pose()
    for k in range(6):
        step = np.zeros((3, 6))
        step[:, k] = 1e-6
        ahead = pixels_of(poses.moved(step), shape, FOCAL, CENTRE)
        behind = pixels_of(poses.moved(-step), shape, FOCAL, CENTRE)
        # Measured 4e-6 of the largest derivative: the cancellation of differences.
        np.testing.assert_allclose(analytic[..., k], (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-2)


def test_bundle_finds_focal_length_and_shape(rng: np.random.Generator) -> None:
    poses = true_poses(120, rng)
    rigid = rigid_vertices()
    shape = mean_face().vertices[rigid] * [1.05, 0.96, 1.03]
    points = pixels_of(poses, shape, FOCAL, CENTRE) + rng.normal(size=(120, len(rigid), 2)) * 0.3
    bundle = fit_bundle(points, mean_face().vertices[rigid], CENTRE, 1.0, 512.0)
    assert bundle.focal == pytest.approx(FOCAL, rel=0.05), "measured 2.3 % off: a face says little about it"
    found = solve_poses(points, bundle.shape, bundle.focal, CENTRE)
    assert degrees_apart(found, poses).mean() < 1.5
    residual = pixels_of(found, bundle.shape, bundle.focal, CENTRE) - points
    assert np.sqrt((residual**2).sum(-1).mean()) < 0.6, "noise alone is 0.42"


def test_flow_makes_the_motion_true(rng: np.random.Generator) -> None:
    poses = true_poses(80, rng)
    seen = observe(poses, rng)
    bundle = Bundle(mean_face().vertices[rigid_vertices()], FOCAL)
    start = solve_poses(seen.points, bundle.shape, FOCAL, CENTRE)
    held_out = np.arange(len(bundle.shape)) % 5 == 0
    flow = seen.flow.copy()
    flow[:, held_out] = np.nan
    refined = refine_poses(start, bundle, replace(seen, flow=flow))
    before, after = flow_error_px(start, bundle, seen, held_out), flow_error_px(refined, bundle, seen, held_out)
    assert before > 0.8
    assert after < 0.1, "measured 0.053 px, from 5.7 px"
    assert degrees_apart(refined, poses).mean() < 0.6 * degrees_apart(start, poses).mean()
    assert reprojection_px(refined, bundle, seen) < 6


def test_flow_carries_the_pose_over_frames_without_a_face(rng: np.random.Generator) -> None:
    poses = true_poses(60, rng)
    seen = observe(poses, rng)
    valid = np.ones(60, bool)
    valid[25:35] = False
    points = seen.points.copy()
    points[25:35] = points[24]
    bundle = Bundle(mean_face().vertices[rigid_vertices()], FOCAL)
    start = solve_poses(points, bundle.shape, FOCAL, CENTRE)
    refined = refine_poses(start, bundle, replace(seen, points=points, valid=valid))
    assert degrees_apart(start, poses)[29:35].mean() > 3
    assert degrees_apart(refined, poses)[25:35].max() < 2.5, "measured 0.72, from 9.2"


def test_long_videos_are_cut_into_pieces_without_a_trace(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    poses = true_poses(40, rng)
    seen = observe(poses, rng)
    bundle = Bundle(mean_face().vertices[rigid_vertices()], FOCAL)
    start = solve_poses(seen.points, bundle.shape, FOCAL, CENTRE)
    config = PoseConfig(iterations=3)
    assert CHUNK_FRAMES > 40
    whole = refine_poses(start, bundle, seen, config)
    monkeypatch.setattr("ua3dtalk.tracking.pose.CHUNK_FRAMES", 7)
    pieces = refine_poses(start, bundle, seen, config)
    # Measured 3e-15: sums in another order.
    np.testing.assert_allclose(pieces.viewmats(), whole.viewmats(), atol=1e-9)


@pytest.mark.parametrize("num", [1, 2, 7])
def test_block_tridiagonal_solver(num: int, rng: np.random.Generator) -> None:
    dense = np.zeros((num * 3, num * 3))
    diagonal = rng.normal(size=(num, 3, 3))
    diagonal = diagonal @ diagonal.transpose(0, 2, 1) + np.eye(3) * 10
    coupling = rng.normal(size=(num - 1, 3, 3))
    for t in range(num):
        dense[3 * t : 3 * t + 3, 3 * t : 3 * t + 3] = diagonal[t]
        if t + 1 < num:
            dense[3 * t : 3 * t + 3, 3 * t + 3 : 3 * t + 6] = coupling[t]
            dense[3 * t + 3 : 3 * t + 6, 3 * t : 3 * t + 3] = coupling[t].T
    right = rng.normal(size=(num, 3))
    got = solve_block_tridiagonal(diagonal, coupling, right)
    np.testing.assert_allclose(got.ravel(), np.linalg.solve(dense, right.ravel()), atol=1e-12)
