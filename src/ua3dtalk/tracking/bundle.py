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
    """Gauss-Newton steps."""


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
    vector: np.ndarray | None = None
    move: np.ndarray | None = None
    for pixels in np.ascontiguousarray(points):
        if vector is None:
            _, vector, move = cv2.solvePnP(shape, pixels, K, None, flags=cv2.SOLVEPNP_SQPNP)
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
        poses, shape, focal = _step(points, poses, shape, mean_shape, focal, target, centre, unit, config)
    return Bundle(shape, focal)


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
    by_shape = np.einsum("tpij,tjk->tpik", seen.by_camera_point, poses.rotations) * unit  # [T, P, 2, 3]
    by_focal = (seen.pixels - centre) * unit  # derivative by log focal, [T, P, 2]

    size = 3 * num_points + 1
    hessian = np.zeros((size, size))
    gradient = np.zeros(size)
    blocks = np.einsum("tp,tpik,tpil->pkl", weight, by_shape, by_shape)
    blocks += np.eye(3) * config.shape_weight / num_points
    for p in range(num_points):
        hessian[3 * p : 3 * p + 3, 3 * p : 3 * p + 3] = blocks[p]
    cross = np.einsum("tp,tpik,tpi->pk", weight, by_shape, by_focal).ravel()
    hessian[:-1, -1] = hessian[-1, :-1] = cross
    log_ratio = np.log(focal / target_focal)
    hessian[-1, -1] = np.einsum("tp,tpi,tpi->", weight, by_focal, by_focal) + config.focal_weight
    gradient[:-1] = (
        np.einsum("tp,tpik,tpi->pk", weight, by_shape, residual)
        + (shape - mean_shape) * config.shape_weight / num_points
    ).ravel()
    gradient[-1] = np.einsum("tp,tpi,tpi->", weight, by_focal, residual) + config.focal_weight * log_ratio

    own = np.einsum("tp,tpik,tpil->tkl", weight, by_pose, by_pose)  # [T, 6, 6]
    own_gradient = np.einsum("tp,tpik,tpi->tk", weight, by_pose, residual)
    coupling = np.concatenate(
        [
            np.einsum("tp,tpik,tpil->tkpl", weight, by_pose, by_shape).reshape(num_frames, 6, -1),
            np.einsum("tp,tpik,tpi->tk", weight, by_pose, by_focal)[..., None],
        ],
        -1,
    )  # [T, 6, 3P+1]
    solved = np.linalg.solve(own, np.concatenate([coupling, own_gradient[..., None]], -1))
    reduced = hessian - coupling.reshape(-1, size).T @ solved[..., :-1].reshape(-1, size)
    right = gradient - np.einsum("tkg,tk->g", coupling, solved[..., -1])
    shared = -np.linalg.solve(reduced, right)
    step = -(solved[..., -1] + solved[..., :-1] @ shared)
    return poses.moved(step), shape + shared[:-1].reshape(-1, 3), float(focal * np.exp(shared[-1]))
