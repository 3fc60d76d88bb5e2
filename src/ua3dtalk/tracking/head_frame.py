"""Landmarks in the head frame. T frames."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from ua3dtalk.tracking.projection import Poses
from ua3dtalk.tracking.topology import rigid_vertices

ALIGN_ROUNDS = 3


def to_head_frame(
    landmarks: Float[np.ndarray, "t 478 3"],
    poses: Poses,
    rigid_shape: Float64[np.ndarray, "p 3"],
    focal: float,
    centre: Float64[np.ndarray, " 2"],
) -> Float64[np.ndarray, "t 478 3"]:
    """Unproject landmarks by the head's pose, then align every frame to the typical one on the rigid points.

    MediaPipe's z is a depth in pixels under weak perspective; it is scaled at the head's distance and shifted so that
    the rigid points lie where the pose says. The alignment (rotation, translation, scale) takes out what is left of
    the pose's noise, which would otherwise look like expression.

    Args:
        landmarks: x, y in pixels, z in the same scale.
        poses: Head poses.
        rigid_shape: This person's rigid points (``topology.rigid_vertices``), head frame, metres.
        focal: Focal length, pixels.
        centre: Principal point, pixels.

    Returns:
        Metres.
    """
    rigid = rigid_vertices()
    points = landmarks.astype(np.float64)
    metres_per_pixel = poses.translations[:, 2] / focal
    depth = points[..., 2] * metres_per_pixel[:, None]
    expected = np.einsum("tj,pj->tp", poses.rotations[:, 2], rigid_shape)
    depth -= np.median(depth[:, rigid] - expected, axis=1, keepdims=True)
    depth += poses.translations[:, 2:]
    camera = np.concatenate([(points[..., :2] - centre) / focal * depth[..., None], depth[..., None]], -1)
    head = (camera - poses.translations[:, None]) @ poses.rotations
    return _align(head, rigid)


def _align(head: np.ndarray, rigid: np.ndarray) -> np.ndarray:
    """Similarity of every frame onto the median frame.

    Not onto the bundle's shape: its depth differs from the detector's, and the compromise would tilt every frame.
    """
    for _ in range(ALIGN_ROUNDS):
        typical = np.median(head[:, rigid], axis=0)
        source = head[:, rigid]
        middle, goal = source.mean(1, keepdims=True), typical.mean(0)
        a, b = source - middle, typical - goal
        u, s, vt = np.linalg.svd(a.transpose(0, 2, 1) @ b)
        sign = np.ones_like(s)
        sign[:, 2] = np.sign(np.linalg.det(u @ vt))
        turn = (u * sign[:, None]) @ vt
        scale = (s * sign).sum(1) / (a**2).sum((1, 2))
        head = scale[:, None, None] * (head - middle) @ turn + goal
    return head
