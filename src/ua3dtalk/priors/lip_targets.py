"""What the content prior predicts: the lips of a person-independent face, from landmarks in the head frame."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

# fmt: off
LIP_POINTS = (
    0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181,
    185, 191, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415,
)
# fmt: on
"""The 40 lip vertices of the 468-point face mesh."""
EYE_CORNERS = (33, 263)
OPENING = (13, 14)
WIDTH = (61, 291)
NUM_LIP_COMPONENTS = 12
NUM_TARGETS = NUM_LIP_COMPONENTS + 2
OPENING_COLUMN, WIDTH_COLUMN = NUM_LIP_COMPONENTS, NUM_LIP_COMPONENTS + 1


def lip_shapes(points: Float[np.ndarray, "t 468 3"]) -> Float32[np.ndarray, "t 82"]:
    """Lip coordinates of every frame in units of the eye distance.

    Args:
        points: Face points in the head frame (any unit; x, y are the face's plane).

    Returns:
        x and y of 40 lip points, the mouth's opening and its width.
    """
    median = np.median(points, axis=0)
    eyes = np.linalg.norm(median[EYE_CORNERS[0]] - median[EYE_CORNERS[1]])
    lips = points[:, LIP_POINTS, :2].reshape(len(points), -1)
    opening = np.linalg.norm(points[:, OPENING[0]] - points[:, OPENING[1]], axis=1)
    width = np.linalg.norm(points[:, WIDTH[0]] - points[:, WIDTH[1]], axis=1)
    return (np.concatenate([lips, opening[:, None], width[:, None]], axis=1) / eyes).astype(np.float32)


def lip_basis(shapes: list[Float32[np.ndarray, "_ 82"]]) -> Float32[np.ndarray, "12 80"]:
    """Leading directions of lip motion over several people, each about their own mean."""
    centred = np.concatenate([s[:, :80] - s[:, :80].mean(axis=0) for s in shapes])
    return np.linalg.svd(centred, full_matrices=False)[2][:NUM_LIP_COMPONENTS].astype(np.float32)


def project(shapes: Float32[np.ndarray, "t 82"], basis: Float32[np.ndarray, "12 80"]) -> Float32[np.ndarray, "t 14"]:
    """Targets of the content prior: 12 lip components, opening, width; about the clip's mean, in eye distances."""
    centred = shapes - shapes.mean(axis=0)
    return np.concatenate([centred[:, :80] @ basis.T, centred[:, 80:]], axis=1).astype(np.float32)
