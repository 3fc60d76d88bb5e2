"""Where hair, skin, neck and torso are expected around a head, before any colour is looked at (DESIGN §5.4)."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.tracking.alignment import HeadPlane, face_coordinates
from ua3dtalk.tracking.regions import polygon
from ua3dtalk.tracking.topology import CHIN, FACE_OVAL, FOREHEAD_TOP


def _step(x: np.ndarray) -> np.ndarray:
    """A soft step from 0 to 1."""
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def position_priors(
    plane: HeadPlane, face: Float[np.ndarray, "468 2"], long_hair: tuple[bool, bool] = (False, False)
) -> Float32[np.ndarray, "h w 4"]:
    """Where hair, skin, neck and torso are expected around a typical face, given that a pixel shows the person.

    Args:
        plane: The head-aligned plane.
        face: The typical face's mesh in it, pixels.
        long_hair: Whether hair falls below the jaw on the picture's left and right side.
    """
    u, v = face_coordinates(plane, face)
    aside = np.abs(u)
    shape = (plane.height, plane.width)
    oval = polygon(shape, face[list(FACE_OVAL)] + 0.5).astype(np.float32)
    oval = cv2.GaussianBlur(oval, (0, 0), max(1.0, plane.height / 300))
    below = _step(-(v + 0.60) / 0.05)
    forehead = _step((0.72 - v) / 0.05) * _step((v - 0.2) / 0.05) * np.exp(-((aside / 0.42) ** 4)) * 0.5
    ear = np.exp(-(((aside - 0.46) / 0.06) ** 2)) * np.exp(-(((v - 0.02) / 0.18) ** 2)) * 0.45
    skin = np.maximum(np.maximum(oval * (1 - 0.98 * below), forehead), ear)
    # Beside and below the jaw hair is possible, shoulders are likelier: colour has to speak for hair there.
    low = _step(-(v + 0.38) / 0.06)
    hair = (1 - oval * 0.98) * np.clip(_step((aside - 0.3) / 0.04) + _step((v - 0.35) / 0.05), 0.01, 1) * 0.6
    falls = np.where(u < 0, long_hair[0], long_hair[1]) * _step((aside - 0.2) / 0.04) * _step((0.95 - aside) / 0.08)
    hair = hair * ((1 - low) + low * (0.12 + 0.88 * falls) * _step((v + 1.5) / 0.1)) + 0.0005
    under_jaw = (1 - oval) * _step((-0.28 - v) / 0.04) * _step((0.46 - aside) / 0.03)
    neck = np.maximum(below * np.exp(-((u / 0.42) ** 4)) * _step((v + 1.05) / 0.08), under_jaw) * 0.6
    shoulders = low * _step((aside - 0.44) / 0.04) * 0.5 * (1 - 0.6 * falls)
    torso = np.maximum(below * np.clip(_step(-(v + 0.75) / 0.08), 0, 1), shoulders) + 1e-4
    priors = np.stack([hair, skin + 1e-3, neck + 1e-4, torso], -1).astype(np.float32)
    return priors / priors.sum(-1, keepdims=True)


def shoulders(u: Float[np.ndarray, "*a"], v: Float[np.ndarray, "*b"]) -> Float32[np.ndarray, "h w"]:
    """Where a torso may be, 0..0.5, at coordinates along and up the face (see ``face_coordinates``), upright."""
    beside = _step(-(v + 0.38) / 0.06) * _step((np.abs(u) - 0.44) / 0.04)
    return (0.5 * np.maximum(beside, _step(-(v + 0.75) / 0.08))).astype(np.float32)


def level_shoulders(plane: HeadPlane, face: Float[np.ndarray, "468 2"], t: int) -> Float32[np.ndarray, "h w"]:
    """Where frame ``t`` may show a torso that the head-aligned plane does not expect: shoulders stay level when the
    head tilts. 0 everywhere for an upright head.

    Args:
        plane: The head-aligned plane.
        face: The typical face's mesh in it, pixels.
        t: Frame number.
    """
    width, height = plane.frame_size
    turn, shift = plane.matrices[t, :, :2], plane.matrices[t, :, 2]
    top, chin = (np.linalg.solve(turn, face[point] - shift) for point in (FOREHEAD_TOP, CHIN))
    size = float(np.linalg.norm(top - chin))
    up, middle = (top - chin) / size, (top + chin) / 2
    x = (np.arange(width, dtype=np.float32) - middle[0]) / size
    y = ((np.arange(height, dtype=np.float32) - middle[1]) / size)[:, None]
    return np.maximum(shoulders(x, -y) - shoulders(y * up[0] - x * up[1], x * up[0] + y * up[1]), 0)
