"""One focal length and one head shape for all frames, from landmarks: a robust bundle adjustment (DESIGN §5.3).

Gauss-Newton with the poses eliminated (Schur complement), so that its cost is linear in the frames. T frames, P points.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from ua3dtalk.tracking.projection import Poses, pixels_of, project

FLIP = np.diag([1.0, -1.0, -1.0])
"""A frontal head seen by a camera: head axes to OpenCV axes."""


@dataclass(frozen=True, kw_only=True)
class BundleConfig:
    """Weights of the bundle; residuals are measured in pixels of a 512 px picture."""

    focal_grid: tuple[float, ...] = (1.25, 1.5, 1.75, 2.0, 2.5)
    """Focal lengths to start from, over the longer side of the whole source picture."""
    focal_prior: float = 1.6
    """Expected focal length over the longer side."""
    focal_weight: float = 2.0
    """Cost, px² per squared log ratio to the expected focal length: the focal is weakly determined by a face."""
    shape_weight: float = 2.0e4
    """Cost of a vertex' offset from the mean face, px² per m²."""
    huber_px: float = 2.0
    """Where the robust cost turns from square to linear."""
    iterations: int = 15
    """Gauss-Newton steps at most; stops when focal length and shape stand still."""


@dataclass(frozen=True)
class Bundle:
    """What all frames share."""

    shape: Float64[np.ndarray, "p 3"]
    """This person's rigid points, head frame, metres."""
    focal: float
    """Focal length, pixels."""


def solve_poses(
    points: Float64[np.ndarray, "t p 2"],
    shape: Float64[np.ndarray, "p 3"],
    focal: float,
    centre: Float64[np.ndarray, " 2"],
) -> Poses:
    """A pose per frame by PnP, each started at the one before."""
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    rotations, translations = [], []
    points = np.ascontiguousarray(points)
    _, vector, move = cv2.solvePnP(shape, points[0], K, None, flags=cv2.SOLVEPNP_SQPNP)
    for pixels in points:
        _, vector, move = cv2.solvePnP(
            shape, pixels, K, None, vector.copy(), move.copy(), True, flags=cv2.SOLVEPNP_ITERATIVE
        )
        rotations.append(cv2.Rodrigues(vector)[0])
        translations.append(move[:, 0].copy())
    return Poses(np.array(rotations), np.array(translations))


def fit_bundle(
    points: Float64[np.ndarray, "t p 2"],
    mean_shape: Float64[np.ndarray, "p 3"],
    centre: Float64[np.ndarray, " 2"],
    unit: float,
    source_side: float,
    config: BundleConfig | None = None,
) -> Bundle:
    """Fit focal length and shape.

    Args:
        points: Landmarks of T (some hundreds at most) frames of varied pose, pixels.
        mean_shape: The mean face at these points, head frame, metres.
        centre: Principal point, pixels.
        unit: Residuals are multiplied by this: 512 / size of the picture.
        source_side: Longer side of the whole source picture, in pixels of ``points``.
        config: Weights.
    """
    config = config or BundleConfig()
    costs = []
    for ratio in config.focal_grid:
        focal = ratio * source_side
        poses = solve_poses(points[:: max(1, len(points) // 60)], mean_shape, focal, centre)
        error = pixels_of(poses, mean_shape, focal, centre) - points[:: max(1, len(points) // 60)]
        prior = config.focal_weight * np.log(ratio / config.focal_prior) ** 2
        costs.append(float(((error * unit) ** 2).sum(-1).mean()) + prior)
    focal = config.focal_grid[int(np.argmin(costs))] * source_side
    shape = mean_shape.copy()
    poses = solve_poses(points, shape, focal, centre)
    target = config.focal_prior * source_side
    for _ in range(config.iterations):
        before = focal, shape
        poses, shape, focal = _step(points, poses, shape, mean_shape, focal, target, centre, unit, config)
        if abs(focal / before[0] - 1) < 1e-4 and np.abs(shape - before[1]).max() < 1e-5:
            break
    return Bundle(shape, focal)


def refit_shape(
    points: Float64[np.ndarray, "t p 2"],
    poses: Poses,
    bundle: Bundle,
    mean_shape: Float64[np.ndarray, "p 3"],
    centre: Float64[np.ndarray, " 2"],
    unit: float,
    config: BundleConfig,
) -> Bundle:
    """The shape that fits landmarks under poses that have become better than landmarks.

    Args:
        points: Landmarks of some frames, pixels.
        poses: Poses of these frames; fixed.
        bundle: Where to start; the focal length stays.
        mean_shape: The mean face at these points, head frame, metres.
        centre: Principal point, pixels.
        unit: Residuals are multiplied by this.
        config: Weights.
    """
    shape = bundle.shape
    num_points = len(shape)
    for _ in range(config.iterations):
        seen = project(poses, shape, bundle.focal, centre)
        residual = (seen.pixels - points) * unit
        weight = 1 / np.sqrt(1 + (residual**2).sum(-1) / config.huber_px**2) / (len(points) * num_points)
        by_shape = seen.by_camera_point @ poses.rotations[:, None] * unit
        weighted = by_shape * weight[..., None, None]
        prior = config.shape_weight / num_points
        normal = np.einsum("tpki,tpkj->pij", weighted, by_shape) + np.eye(3) * prior
        pull = np.einsum("tpki,tpk->pi", weighted, residual) + (shape - mean_shape) * prior
        shape = shape - np.linalg.solve(normal, pull[..., None])[..., 0]
    return Bundle(shape, bundle.focal)


def _step(
    points: np.ndarray,
    poses: Poses,
    shape: np.ndarray,
    mean_shape: np.ndarray,
    focal: float,
    target_focal: float,
    centre: np.ndarray,
    unit: float,
    config: BundleConfig,
) -> tuple[Poses, np.ndarray, float]:
    """One Gauss-Newton step over poses, shape and log focal."""
    num_frames, num_points = points.shape[:2]
    seen = project(poses, shape, focal, centre)
    residual = (seen.pixels - points) * unit  # [T, P, 2]
    weight = 1 / np.sqrt(1 + (residual**2).sum(-1) / config.huber_px**2) / (num_frames * num_points)
    by_pose = seen.by_pose() * unit  # [T, P, 2, 6]
    by_shape = seen.by_camera_point @ poses.rotations[:, None] * unit  # [T, P, 2, 3]
    by_focal = (seen.pixels - centre) * unit  # derivative by log focal, [T, P, 2]

    weighted = weight[..., None, None]
    size = 3 * num_points + 1
    hessian = np.zeros((size, size))
    gradient = np.zeros(size)
    per_point = by_shape.transpose(1, 0, 2, 3).reshape(num_points, -1, 3)  # [P, 2T, 3]
    scaled = (by_shape * weighted).transpose(1, 3, 0, 2).reshape(num_points, 3, -1)
    blocks = scaled @ per_point + np.eye(3) * config.shape_weight / num_points
    for p in range(num_points):
        hessian[3 * p : 3 * p + 3, 3 * p : 3 * p + 3] = blocks[p]
    cross = scaled @ by_focal.transpose(1, 0, 2).reshape(num_points, -1, 1)
    hessian[:-1, -1] = hessian[-1, :-1] = cross.ravel()
    hessian[-1, -1] = (weighted[..., 0] * by_focal**2).sum() + config.focal_weight
    pull = scaled @ residual.transpose(1, 0, 2).reshape(num_points, -1, 1)
    gradient[:-1] = pull.ravel() + (shape - mean_shape).ravel() * config.shape_weight / num_points
    log_ratio = np.log(focal / target_focal)
    gradient[-1] = (weighted[..., 0] * by_focal * residual).sum() + config.focal_weight * log_ratio

    flat = (by_pose * weighted).reshape(num_frames, -1, 6).transpose(0, 2, 1)  # [T, 6, 2P]
    own = flat @ by_pose.reshape(num_frames, -1, 6)
    own_gradient = (flat @ residual.reshape(num_frames, -1, 1))[..., 0]
    by_points = (by_pose * weighted).transpose(0, 1, 3, 2) @ by_shape  # [T, P, 6, 3]
    by_scale = flat @ by_focal.reshape(num_frames, -1, 1)
    coupling = np.concatenate([by_points.transpose(0, 2, 1, 3).reshape(num_frames, 6, -1), by_scale], -1)
    solved = np.linalg.solve(own, np.concatenate([coupling, own_gradient[..., None]], -1))
    reduced = hessian - coupling.reshape(-1, size).T @ solved[..., :-1].reshape(-1, size)
    right = gradient - coupling.reshape(-1, size).T @ solved[..., -1].ravel()
    shared = -np.linalg.solve(reduced, right)
    step = -(solved[..., -1] + solved[..., :-1] @ shared)
    return poses.moved(step), shape + shared[:-1].reshape(-1, 3), float(focal * np.exp(shared[-1]))
