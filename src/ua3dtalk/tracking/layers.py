"""What lies behind the head: the background of the clip and the torso of each frame (DESIGN §5.6)."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.tracking.topology import CHIN, FOREHEAD_TOP

HEAD_VALUES = [int(label) for label in HEAD_LABELS]
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
        levels.append(cv2.pyrDown(levels[-1]))
    filled = levels[-1][..., :-1] / np.maximum(levels[-1][..., -1:], 1e-6)
    for level in levels[-2::-1]:
        coarse = cv2.pyrUp(filled, dstsize=(level.shape[1], level.shape[0]))
        weight = np.clip(level[..., -1:], 0, 1)
        filled = level[..., :-1] + coarse * (1 - weight)
    return filled


def masked_median(
    stack: UInt8[np.ndarray, "t h w 3"], known: Bool[np.ndarray, "t h w"]
) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Median over time of the known values of each pixel, and where there was any."""
    count = known.sum(0)
    result = np.zeros(stack.shape[1:], np.uint8)
    for row in range(stack.shape[1]):  # row by row: the sort needs a copy
        values = np.where(known[:, row, :, None], stack[:, row].astype(np.int16), 999)
        values.sort(axis=0)
        middle = np.maximum(count[row] - 1, 0) // 2
        result[row] = np.take_along_axis(values, middle[None, :, None], 0)[0].clip(0, 255)
    return result, count > 0


def torso_layer(
    frame: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    landmarks: Float[np.ndarray, "478 3"],
) -> UInt8[np.ndarray, "h w 4"]:
    """Torso and neck of one frame, RGBA with straight alpha, filled in behind the lower head.

    The fill keeps seams closed when the head is drawn a little off from where it was filmed.
    """
    below = (labels == Label.TORSO) | (labels == Label.NECK)
    head = np.isin(labels, HEAD_VALUES)
    top, chin = landmarks[FOREHEAD_TOP, :2], landmarks[CHIN, :2]
    height = float(np.linalg.norm(top - chin))
    up = (top - chin) / max(height, 1e-6)
    ys, xs = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(np.float32)
    v = ((xs - (top[0] + chin[0]) / 2) * up[0] + (ys - (top[1] + chin[1]) / 2) * up[1]) / height
    u = np.abs(((xs - (top[0] + chin[0]) / 2) * -up[1] + (ys - (top[1] + chin[1]) / 2) * up[0]) / height)
    hidden = head & (v < FILL_BELOW) & ((u < 0.35) | (v < -0.5))
    alpha = (below | hidden).astype(np.float32)
    alpha = cv2.GaussianBlur(alpha, (0, 0), max(0.6, max(frame.shape[:2]) / 400))
    kernel = np.ones((3, 3), np.uint8)
    sure = cv2.erode(below.astype(np.uint8), kernel).astype(np.float32)
    if sure.sum() < 16:
        return np.zeros((*frame.shape[:2], 4), np.uint8)
    colours = fill_holes(frame.astype(np.float32), sure)
    near = below[..., None]
    rgb = np.where(near, frame, colours.clip(0, 255).astype(np.uint8))
    return np.concatenate([rgb, (alpha * 255).round().astype(np.uint8)[..., None]], -1)
