"""Their head poses against ours. T frames, P points.

Their head frame is another than ours: its middle, its idea of upright and the size of the face are those of their face
model. One similarity between the two frames is fitted for the whole clip, and what is left is the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from ua3dtalk.core.sequence import spread
from ua3dtalk.tracking.projection import Poses, pixels_of

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
FIT_FRAMES = 40
HUBER_PX = 2.0


@dataclass(frozen=True, kw_only=True)
class PoseDifference:
    """How far two sets of poses of the same frames are apart."""

    median_deg: float
    """Median angle between the rotations, degrees."""
    p95_deg: float
    """95th percentile of it."""
    reprojection_px: float
    """Root mean square distance of points that their poses project from the landmarks, pixels at 512."""
    scale: float
    """Size of their head over that of ours."""


def poses_of_cameras(cameras: Float64[np.ndarray, "t 4 4"]) -> Poses:
    """Head to camera with OpenCV axes from camera to head with OpenGL axes."""
    viewmats = OPENGL_TO_OPENCV @ np.linalg.inv(cameras)
    return Poses(np.ascontiguousarray(viewmats[:, :3, :3]), np.ascontiguousarray(viewmats[:, :3, 3]))


def compare_poses(
    own: Poses,
    theirs: Poses,
    shape: Float64[np.ndarray, "p 3"],
    points: Float64[np.ndarray, "t p 2"],
    focal: float,
    centre: Float64[np.ndarray, " 2"],
    unit: float,
) -> PoseDifference:
    """Fit the similarity between the head frames and measure what is left.

    Args:
        own: Our poses.
        theirs: Their poses of the same frames, in their head frame.
        shape: Rigid points, our head frame.
        points: Landmarks of these points, pixels.
        focal: Their focal length, pixels.
        centre: Their principal point, pixels.
        unit: From pixels to pixels at 512.
    """
    relative = theirs.rotations.transpose(0, 2, 1) @ own.rotations
    u, _, vt = np.linalg.svd(relative.mean(0))
    turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    degrees = np.degrees(Rotation.from_matrix(turn.T @ relative).magnitude())
    chosen = spread(len(own), FIT_FRAMES)

    def placed(x: np.ndarray) -> np.ndarray:
        return np.exp(x[0]) * shape @ Rotation.from_rotvec(x[1:4]).as_matrix().T + x[4:]

    def residual(x: np.ndarray) -> np.ndarray:
        return ((pixels_of(theirs[chosen], placed(x), focal, centre) - points[chosen]) * unit).ravel()

    # Their units are about metres; a ratio of the distances starts near enough whatever they are.
    ratio = np.median(np.linalg.norm(theirs.translations, axis=1)) / np.median(np.linalg.norm(own.translations, axis=1))
    start = np.concatenate([[np.log(ratio)], Rotation.from_matrix(turn).as_rotvec(), np.zeros(3)])
    found = least_squares(residual, start, loss="soft_l1", f_scale=HUBER_PX).x
    left = (pixels_of(theirs, placed(found), focal, centre) - points) * unit
    return PoseDifference(
        median_deg=float(np.median(degrees)),
        p95_deg=float(np.percentile(degrees, 95)),
        reprojection_px=float(np.sqrt((left**2).sum(-1).mean())),
        scale=float(np.exp(found[0])),
    )
