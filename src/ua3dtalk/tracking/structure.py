"""Poses and material points from tracks, together: bundle adjustment, focal length fixed. T frames, F points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ua3dtalk.core.sequence import spread
from ua3dtalk.tracking.pose import TrackedPoints
from ua3dtalk.tracking.projection import Poses, normal_matrix, normal_side, pixels_of, project
from ua3dtalk.tracking.registration import Tracks

HUBER_PX = 1.0
"""Where a residual stops to count, px at 512: beyond it a match is wrong, not noisy."""
MESH_SIGMA_M, HAIR_SIGMA_M = 0.003, 0.02
"""How far a point may lie from where the surface has it."""
FLOOR_PX = 0.15
"""Noise of the best matches: px of the frame or px at 512, whichever is more."""
ROUNDS, STEPS, STRUCTURE_FRAMES = 3, 4, 120
CHUNK_FRAMES = 64
"""Frames that are linearised together: few enough for the cache."""
LEAST_SEEN = 0.25
"""Points that are found in fewer frames do not count."""


def fit_structure(
    tracks: Tracks, start: Poses, focal: float, centre: Float64[np.ndarray, " 2"], unit: float
) -> TrackedPoints:
    """Fit points, poses and the points' weights in turn; the poses are thrown away.

    Tracks fix poses only up to one rigid motion of the head frame: the surface says where that is.

    Args:
        tracks: What was found.
        start: Poses to start from.
        focal: Focal length, pixels.
        centre: Principal point, pixels.
        unit: 512 / size of the picture.
    """
    known = np.isfinite(tracks.pixels[..., 0])
    some = spread(len(start), STRUCTURE_FRAMES)
    sigma = np.where(tracks.on_mesh, MESH_SIGMA_M, HAIR_SIGMA_M)
    problem = _Problem(tracks, known, focal, centre, unit)
    poses, points, weights = start, tracks.surface.copy(), np.ones(len(tracks.surface))
    for _ in range(ROUNDS):
        few = poses[some]
        for _ in range(STEPS):
            few, points = problem.step(few, some, points, sigma, weights)
        poses = problem.locate(poses, points, weights)
        seen = known.mean(0) >= LEAST_SEEN
        typical = np.nanmedian(np.where(seen, problem.distances(poses, points), 0), axis=0).astype(np.float64)
        floor = FLOOR_PX * max(1.0, unit)
        weights = np.where(seen, floor**2 / (typical**2 + floor**2), 0.0)
    return TrackedPoints(tracks.pixels, points, weights)


@dataclass(frozen=True)
class _Problem:
    tracks: Tracks
    known: np.ndarray
    focal: float
    centre: np.ndarray
    unit: float

    def _linearised(
        self, poses: Poses, frames: np.ndarray | slice, points: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Residuals [T,F,2], their weights [T,F], derivatives by pose [T,F,2,6] and by the point in the camera."""
        seen = project(poses, points, self.focal, self.centre)
        known = self.known[frames]
        residual = np.where(known[..., None], seen.pixels - self.tracks.pixels[frames], 0.0) * self.unit
        # Geman-McClure: wrong matches lose their pull altogether.
        weight = known * weights / (1 + (residual**2).sum(-1) / HUBER_PX**2) ** 2
        return residual, weight, seen.by_pose() * self.unit, seen.by_camera_point * self.unit

    def step(
        self, poses: Poses, frames: np.ndarray, points: np.ndarray, sigma: np.ndarray, weights: np.ndarray
    ) -> tuple[Poses, np.ndarray]:
        """One Gauss-Newton step over poses and points, poses eliminated."""
        count, num = len(points), len(poses)
        residual, weight, by_pose, by_camera = self._linearised(poses, frames, points, weights)
        by_point = by_camera @ poses.rotations[:, None]
        hessian = np.zeros((3 * count, 3 * count))
        weighted = by_point * weight[..., None, None]
        blocks = np.einsum("tfki,tfkj->fij", weighted, by_point) + np.eye(3) / sigma[:, None, None] ** 2
        for f in range(count):
            hessian[3 * f : 3 * f + 3, 3 * f : 3 * f + 3] = blocks[f]
        prior = (points - self.tracks.surface) / sigma[:, None] ** 2
        gradient = (np.einsum("tfki,tfk->fi", weighted, residual) + prior).ravel()
        own, own_gradient = _by_frame(by_pose, residual, weight)
        coupling = np.einsum("tfki,tfkj->tifj", by_pose, weighted).reshape(num, 6, -1)
        solved = np.linalg.solve(own, np.concatenate([coupling, own_gradient[..., None]], -1))
        flat = coupling.reshape(-1, 3 * count)
        reduced = hessian - flat.T @ solved[..., :-1].reshape(-1, 3 * count)
        moved = -np.linalg.solve(reduced, gradient - flat.T @ solved[..., -1].ravel())
        return poses.moved(-(solved[..., -1] + solved[..., :-1] @ moved)), points + moved.reshape(-1, 3)

    def distances(self, poses: Poses, points: np.ndarray) -> np.ndarray:
        """How far points are from where they were found, px at 512, [T, F]; in pieces, for memory."""
        pieces = [slice(first, first + CHUNK_FRAMES) for first in range(0, len(poses), CHUNK_FRAMES)]
        seen = (pixels_of(poses[piece], points, self.focal, self.centre) for piece in pieces)
        apart = [np.linalg.norm(a - self.tracks.pixels[piece], axis=-1) for a, piece in zip(seen, pieces, strict=True)]
        return (np.concatenate(apart) * self.unit).astype(np.float32)

    def locate(self, poses: Poses, points: np.ndarray, weights: np.ndarray) -> Poses:
        """Poses of all frames, points fixed; in pieces, for memory."""
        rotations, translations = [], []
        for first in range(0, len(poses), CHUNK_FRAMES):
            piece = slice(first, first + CHUNK_FRAMES)
            some = poses[piece]
            for _ in range(STEPS):
                residual, weight, by_pose, _ = self._linearised(some, piece, points, weights)
                own, gradient = _by_frame(by_pose, residual, weight)
                some = some.moved(-np.linalg.solve(own, gradient[..., None])[..., 0])
            rotations.append(some.rotations)
            translations.append(some.translations)
        return Poses(np.concatenate(rotations), np.concatenate(translations))


def _by_frame(by_pose: np.ndarray, residual: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of each frame's pose; a whiff of damping for frames in which nothing was found."""
    return normal_matrix(by_pose, by_pose, weight) + np.eye(6) * 1e-6, normal_side(by_pose, residual, weight)
