"""Which landmark is what: rings and groups of MediaPipe's 478 face landmarks, and the mean face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float64, Int32

NUM_VERTICES = 468
RIGHT_PUPIL, LEFT_PUPIL = 468, 473
RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 33, 133, 362, 263
FOREHEAD_TOP, CHIN, NOSE_TIP = 10, 152, 4
RIGHT_CORNER, LEFT_CORNER, UPPER_LIP_INNER, LOWER_LIP_INNER = 61, 291, 13, 14

# Rings, in order around the border.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)

LOWER_FACE_BELOW_M = -0.0045
"""Vertices whose mean-face y is below this (nose base and down) make the lower face."""
_RIGID_ABOVE_M = -0.016
_FRONT_BEYOND_M = 0.04


@dataclass(frozen=True)
class MeanFace:
    """Our mean face, head frame, metres (``scripts/build_mean_face.py``)."""

    vertices: Float64[np.ndarray, "468 3"]
    """Vertices."""
    triangles: Int32[np.ndarray, "f 3"]
    """Triangles, counter-clockwise from outside; the mouth is a hole."""
    mirror: Int32[np.ndarray, " 468"]
    """For each vertex the one on the other side of the face."""


@cache
def mean_face() -> MeanFace:
    """The mean face that comes with the package."""
    with (files("ua3dtalk.tracking") / "data" / "mean_face.npz").open("rb") as handle, np.load(handle) as archive:
        return MeanFace(
            vertices=archive["vertices"].astype(np.float64),
            triangles=archive["triangles"],
            mirror=archive["mirror"],
        )


@cache
def rigid_vertices() -> np.ndarray:
    """Indices of the vertices that move with the skull: above the mouth, without lips, lids and brows."""
    soft = {*OUTER_LIPS, *INNER_LIPS, *RIGHT_BROW, *LEFT_BROW, *RIGHT_EYE, *LEFT_EYE}
    soft -= {RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER}
    height = mean_face().vertices[:, 1]
    return np.array([i for i in range(NUM_VERTICES) if height[i] > _RIGID_ABOVE_M and i not in soft])


@cache
def front_of_rigid() -> np.ndarray:
    """For each rigid vertex, whether it lies on the front of the face, where optical flow can follow it."""
    return mean_face().vertices[rigid_vertices(), 2] > _FRONT_BEYOND_M


@cache
def lower_vertices() -> np.ndarray:
    """Indices of the vertices of the lower face: mouth, chin, jaw, cheeks beside the mouth."""
    return np.flatnonzero(mean_face().vertices[:, 1] < LOWER_FACE_BELOW_M)
