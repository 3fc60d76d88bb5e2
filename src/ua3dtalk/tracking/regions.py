"""Regions of a face picture from landmarks: lips, eyes, brows, face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ua3dtalk.tracking import topology

SHIFT = 4
CLOSED_PX_AT_512 = 1.5
"""Lips nearer than this show no inner mouth."""


@dataclass(frozen=True)
class FaceRegions:
    """Masks of one frame, bool [H, W]."""

    oval: Bool[np.ndarray, "h w"]
    """Face inside the mesh's border."""
    lips: Bool[np.ndarray, "h w"]
    """Lips with what is between them."""
    inner_mouth: Bool[np.ndarray, "h w"]
    """Between the lips."""
    eyes: Bool[np.ndarray, "h w"]
    """Between the lids."""
    brows: Bool[np.ndarray, "h w"]
    """Brows."""


def polygon(shape: tuple[int, int], points: Float[np.ndarray, "p 2"]) -> Bool[np.ndarray, "h w"]:
    """Pixels inside a polygon given in pixels (centres at +0.5)."""
    mask = np.zeros(shape, np.uint8)
    fixed = np.round((points - 0.5) * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 1, cv2.LINE_8, SHIFT)
    return mask.astype(bool)


def inner_mouth(shape: tuple[int, ...], landmarks: Float[np.ndarray, "478 3"]) -> Bool[np.ndarray, "h w"]:
    """Inside of the inner lips' ring; empty where the lips are shut."""
    points = landmarks[:, :2]
    gap = float(np.linalg.norm(points[topology.UPPER_LIP_INNER] - points[topology.LOWER_LIP_INNER]))
    if gap * 512 / max(shape[:2]) < CLOSED_PX_AT_512:
        return np.zeros(shape[:2], bool)
    return polygon((shape[0], shape[1]), points[list(topology.INNER_LIPS)])


def face_regions(shape: tuple[int, int], landmarks: Float[np.ndarray, "478 3"]) -> FaceRegions:
    """Regions of one frame."""
    points = landmarks[:, :2]

    def ring(indices: tuple[int, ...]) -> np.ndarray:
        return polygon(shape, points[list(indices)])

    lips, inner = ring(topology.OUTER_LIPS), inner_mouth(shape, landmarks)
    return FaceRegions(
        oval=ring(topology.FACE_OVAL),
        lips=lips | inner,
        inner_mouth=inner,
        eyes=ring(topology.RIGHT_EYE) | ring(topology.LEFT_EYE),
        brows=ring(topology.RIGHT_BROW) | ring(topology.LEFT_BROW),
    )
