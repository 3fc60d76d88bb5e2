"""Face points of any picture in the frame of our mean face: no camera, no head pose, no fitting."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from ua3dtalk.tracking.topology import mean_face, rigid_vertices

_TO_Y_UP = np.array([1.0, -1.0, -1.0])
"""Picture axes (x right, y down, z away) to head axes (x to the subject's left, y up, z out of the face)."""


def normalised_points(landmarks: Float[np.ndarray, "478 3"]) -> Float64[np.ndarray, "478 3"]:
    """Face points in the frame of our mean face, by the similarity that lays the rigid upper face onto it.

    Rotation, scale and shift of the head in the picture go out; the person's own shape and the expression stay.
    Perspective is not undone (the detector's points are nearly those of a far camera).

    Args:
        landmarks: x, y in pixels, y down; z in the same scale, larger is farther away.

    Returns:
        Head frame (y up), metres at the mean face's size.

    Raises:
        ValueError: the rigid points coincide or are not finite.

    Source: Umeyama, PAMI 1991, eq. 40–43.
    """
    rigid = rigid_vertices()
    points = landmarks.astype(np.float64) * _TO_Y_UP
    middle, goal = points[rigid].mean(0), mean_face().vertices[rigid].mean(0)
    a, b = points[rigid] - middle, mean_face().vertices[rigid] - goal
    spread = float((a**2).sum())
    if not spread > 1e-12 or not np.isfinite(spread):
        raise ValueError("`landmarks` must be finite and span a face; their rigid points coincide or are not finite.")
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return float((s * sign).sum()) / spread * (points - middle) @ (u * sign) @ vt + goal
