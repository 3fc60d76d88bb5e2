"""The regions that picture metrics are taken over, and their exact meaning."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from ua3dtalk.evaluation.landmark_points import OUTER_LIPS
from ua3dtalk.subject.labels import HEAD_LABELS

ERODE_PX_AT_512 = 6
BOX_GROWTH = (0.20, 0.35)
BOX_MARGIN_PX = 2

REGIONS = {
    "full": "the whole frame, background and torso included",
    "head": "pixels that the subject's parsing calls hair, skin, brows, eyes, lips or inner mouth",
    "head_eroded": f"the same, eroded by {ERODE_PX_AT_512} px at 512 px frame height (in proportion at other sizes), "
    "so that errors of the mask's outline do not count",
    "mouth": f"box around the outer lips of the real frame, grown by {BOX_GROWTH[0]:.0%} of its width and "
    f"{BOX_GROWTH[1]:.0%} of its height on every side, plus {BOX_MARGIN_PX} px",
}
"""Name and meaning of every region."""


@dataclass(frozen=True, kw_only=True)
class FrameRegions:
    """Masks of one frame, all taken from the real picture."""

    full: Bool[np.ndarray, "h w"]
    """Everything."""
    head: Bool[np.ndarray, "h w"]
    """Head by parsing."""
    head_eroded: Bool[np.ndarray, "h w"]
    """Head without its outline."""
    mouth: Bool[np.ndarray, "h w"] | None
    """Mouth box; None where no face was found in the real frame."""


def frame_regions(parsing: UInt8[np.ndarray, "h w"], landmarks: Float32[np.ndarray, "478 3"] | None) -> FrameRegions:
    """All regions of one frame.

    Args:
        parsing: Labels of the real frame.
        landmarks: Face points of the real frame, pixels; None if no face was found.
    """
    head = np.isin(parsing, HEAD_LABELS)
    radius = erosion_px(parsing.shape[0])
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    eroded = cv2.erode(head.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0
    mouth = None
    if landmarks is not None:
        mouth = mouth_mask(landmarks, (parsing.shape[1], parsing.shape[0]))
    return FrameRegions(full=np.ones(parsing.shape, bool), head=head, head_eroded=eroded, mouth=mouth)


def erosion_px(height: int) -> int:
    """Erosion of the head for frames of a given height, pixels."""
    return max(1, round(ERODE_PX_AT_512 * height / 512))


def mouth_mask(landmarks: Float32[np.ndarray, "478 3"], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """``mouth_box`` as a mask. Arguments as there."""
    x0, y0, x1, y1 = mouth_box(landmarks, size)
    mask = np.zeros(size[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return mask


def mouth_box(landmarks: Float32[np.ndarray, "478 3"], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box around the outer lips: x0, y0, x1, y1 in whole pixels, ends exclusive, inside the frame.

    Args:
        landmarks: Face points, pixels.
        size: Width and height of the frame.
    """
    points = landmarks[list(OUTER_LIPS), :2].astype(np.float64)
    low, high = points.min(0), points.max(0)
    margin = (high - low) * BOX_GROWTH + BOX_MARGIN_PX
    limit = np.array(size)
    start = np.clip(np.floor(low - margin), 0, limit - 1).astype(int)
    stop = np.clip(np.floor(high + margin) + 1, start + 1, limit).astype(int)
    return int(start[0]), int(start[1]), int(stop[0]), int(stop[1])
