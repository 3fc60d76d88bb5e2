"""Numbers of a face's expression that mean the same for everybody: in eye distances, no camera, no head pose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

RIGHT_EYE, LEFT_EYE = 33, 263
"""Outer corners."""
RIGHT_CORNER, LEFT_CORNER, UPPER_INNER, LOWER_INNER = 61, 291, 13, 14
FACE_SIGNALS = (
    "AU45", "AU01", "AU02", "AU04", "AU05", "AU07", "AU26", "opening", "width", "corners_up", "upper_lip_up",
    "lips_thick", "nose_up", "chin_up", "brows_apart", "squint",
)  # fmt: skip
"""What the columns of ``face_signals`` are: blink, inner brow up, outer brow up, brow down, upper lid up, lower lid up,
jaw, mouth open, mouth wide, corners above the lips, upper lip and nose wings and chin up, red of the lips, gap between
the brows, cheek up to the eye."""
NUM_FACE_SIGNALS = len(FACE_SIGNALS)


def _rulers(
    points: Float[np.ndarray, "t p 3"],
) -> tuple[Callable[[int, int], np.ndarray], Callable[..., np.ndarray]]:
    """Distance of two points, and mean height of some, in eye distances (the mean over the frames)."""
    eye_distance = float(np.linalg.norm(points[:, RIGHT_EYE] - points[:, LEFT_EYE], axis=-1).mean())

    def apart(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(points[:, a] - points[:, b], axis=-1) / eye_distance

    def height(*indices: int) -> np.ndarray:
        return points[:, list(indices), 1].mean(1) / eye_distance

    return apart, height


def raw_signals(points: Float[np.ndarray, "t p 3"]) -> dict[str, Float[np.ndarray, " t"]]:
    """Named signals from landmarks in the head frame; larger is more active; unit: eye distances.

    Args:
        points: At least 468 points of T frames, upright, any unit. The eye distance is the mean over the frames.
    """
    apart, height = _rulers(points)
    right_open = (apart(159, 145) + apart(158, 153) + apart(160, 144)) / (3 * apart(33, 133))
    left_open = (apart(386, 374) + apart(385, 380) + apart(387, 373)) / (3 * apart(263, 362))
    eye_open = (right_open + left_open) / 2
    eye_line = height(33, 133, 362, 263)
    brow_inner = height(55, 107, 285, 336) - eye_line
    brow_outer = height(70, 46, 63, 300, 276, 293) - eye_line
    corners = height(RIGHT_CORNER, LEFT_CORNER)
    return {
        "AU45": -eye_open,
        "AU01": brow_inner,
        "AU02": brow_outer,
        "AU04": -(height(55, 65, 107, 285, 295, 336) - eye_line) - 0.7 * apart(55, 285),
        "AU05": height(159, 158, 160, 386, 385, 387) - eye_line,
        "AU07": height(145, 144, 153, 374, 373, 380) - eye_line,
        "AU12": apart(RIGHT_CORNER, LEFT_CORNER) + corners - height(UPPER_INNER, LOWER_INNER),
        "AU18": -apart(RIGHT_CORNER, LEFT_CORNER),
        "AU20": apart(RIGHT_CORNER, LEFT_CORNER) - np.maximum(corners - height(UPPER_INNER), 0),
        "AU25": apart(UPPER_INNER, LOWER_INNER),
        "AU26": -(height(152) - height(6)),
    }


def face_signals(points: Float[np.ndarray, "t p 3"]) -> Float[np.ndarray, "t 16"]:
    """The signals that emotions are read from and borrowed with, in the order of ``FACE_SIGNALS``.

    They hold the person's anatomy too: only differences from the person's neutral face are person-independent.

    Args:
        points: As in ``raw_signals``.
    """
    apart, height = _rulers(points)
    raw = raw_signals(points)
    named = raw | {
        "opening": raw["AU25"],
        "width": -raw["AU18"],
        "corners_up": height(RIGHT_CORNER, LEFT_CORNER) - height(UPPER_INNER, LOWER_INNER),
        "upper_lip_up": height(0, 37, 267) - height(6),
        "lips_thick": apart(0, UPPER_INNER) + apart(LOWER_INNER, 17),
        "nose_up": height(64, 294) - height(6),
        "chin_up": height(200, 199) - height(152),
        "brows_apart": apart(55, 285),
        "squint": height(50, 280, 101, 330) - height(33, 133, 362, 263),
    }
    return np.stack([named[name] for name in FACE_SIGNALS], axis=1)
