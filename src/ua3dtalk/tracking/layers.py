"""What lies behind the head: the background of the clip and the torso of each frame (DESIGN §5.6)."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.tracking.topology import CHIN, FOREHEAD_TOP

HEAD_VALUES = [int(label) for label in HEAD_LABELS]
FILL_SIDE = 256
"""Larger pictures are filled in at half their size, pixels."""
MARGIN_PX = 16
"""Rows above the highest one that shows: where its soft border ends."""
LEAST_SEEN = 0.05
"""Background that shows in a smaller share of the frames is filled in: it only shows at the person's soft edge."""
FILL_BELOW = -0.15
"""The torso layer is filled behind head pixels below this height on the face: chin −0.5, forehead 0.5."""


def fill_holes(picture: Float[np.ndarray, "h w c"], known: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w c"]:
    """Fill unknown pixels smoothly from known ones, near ones counting most (pull-push over a pyramid).

    Args:
        picture: Colours; anything where unknown.
        known: Weight 0..1 of each pixel.
    """
    levels = [np.concatenate([picture * known[..., None], known[..., None]], -1).astype(np.float32)]
    while min(levels[-1].shape[:2]) > 2:
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    filled = levels[-1][..., :-1] / np.maximum(levels[-1][..., -1:], 1e-6)
    for level in levels[-2::-1]:
        coarse = cv2.pyrUp(filled, dstsize=(level.shape[1], level.shape[0]))
        weight = np.clip(level[..., -1:], 0, 1)
        filled = level[..., :-1] + coarse * (1 - weight)
    return filled


def masked_median(
    stack: UInt8[np.ndarray, "t h w 3"], known: Bool[np.ndarray, "t h w"]
) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Median over time of the known values of each pixel, and where there were enough (``LEAST_SEEN``)."""
    count = known.sum(0)
    result = np.zeros(stack.shape[1:], np.uint8)
    for row in range(stack.shape[1]):  # row by row: the sort needs a copy
        values = np.where(known[:, row, :, None], stack[:, row].astype(np.int16), 999)
        values.sort(axis=0)
        middle = np.maximum(count[row] - 1, 0) // 2
        result[row] = np.take_along_axis(values, middle[None, :, None], 0)[0].clip(0, 255)
    return result, count > LEAST_SEEN * len(stack)


def torso_layer(
    frame: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    landmarks: Float[np.ndarray, "478 3"],
) -> UInt8[np.ndarray, "h w 4"]:
    """Torso and neck of one frame, RGBA with straight alpha, filled in behind the lower head.

    The fill keeps seams closed when the head is drawn a little off from where it was filmed.
    """
    below = (labels == Label.TORSO) | (labels == Label.NECK)
    sure = cv2.erode(below.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    layer = np.zeros((*frame.shape[:2], 4), np.uint8)
    if sure.sum() < 16:
        return layer
    # The neck's colours go on below the chin; the shoulders' only where no neck is near.
    sure[labels == Label.TORSO] *= 0.02
    shown = below | _hidden_neck(np.isin(labels, HEAD_VALUES), below, landmarks)
    first = max(0, int(shown.any(1).argmax()) - MARGIN_PX)
    rows = slice(first - first % 2, None)  # nothing shows above; even, for the fill at half size
    alpha = cv2.GaussianBlur(shown[rows].astype(np.float32), (0, 0), max(0.6, max(frame.shape[:2]) / 400))
    layer[rows, :, :3] = np.where(below[rows, :, None], frame[rows], _smooth_fill(frame[rows], sure[rows]))
    layer[rows, :, 3] = (alpha * 255).round()
    return layer


def _smooth_fill(frame: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """``fill_holes`` on a picture of half the size where that is large enough: what is filled in is smooth anyway."""
    height, width = sure.shape
    if max(height, width) <= FILL_SIDE:
        return fill_holes(frame.astype(np.float32), sure).clip(0, 255).astype(np.uint8)
    size = (width // 2, height // 2)
    weight = cv2.resize(sure, size, interpolation=cv2.INTER_AREA)
    known = cv2.resize(frame.astype(np.float32) * sure[..., None], size, interpolation=cv2.INTER_AREA)
    filled = fill_holes(known / np.maximum(weight, 1e-6)[..., None], weight).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR))


def _hidden_neck(head: np.ndarray, below: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Head pixels that neck or shoulders go on behind: near them, and in the middle up to the mouth."""
    top, chin = landmarks[FOREHEAD_TOP, :2], landmarks[CHIN, :2]
    height = max(float(np.linalg.norm(top - chin)), 1e-6)
    up, middle = (top - chin) / height, (top + chin) / 2
    ys, xs = np.arange(head.shape[0], dtype=np.float32)[:, None], np.arange(head.shape[1], dtype=np.float32)
    v = ((xs - middle[0]) * up[0] + (ys - middle[1]) * up[1]) / height
    u = ((ys - middle[1]) * up[0] - (xs - middle[0]) * up[1]) / height
    reach = max(3, round(0.1 * height))
    near = cv2.dilate(below.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=reach // 2) > 0
    column = (np.abs(u) < 0.28) & (v < FILL_BELOW)
    beside = (v < -0.5) | ((np.abs(u) < 0.33) & (v < -0.3))
    return head & (column | (near & beside))
