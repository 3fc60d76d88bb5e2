"""Optical flow of points on the rigid part of the face, from frame to frame (DESIGN §5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float32, Float64

FORTH_AND_BACK_PX = 0.2
"""A point is kept if, followed forth and back, it returns this near to where it started."""
WINDOW_PX = 21


def measure_flow(
    grey: Iterable[np.ndarray], points: Float64[np.ndarray, "t p 2"], usable: np.ndarray
) -> Iterator[Float32[np.ndarray, "p 2"]]:
    """Follow the points of each frame into the next one (Lucas-Kanade).

    Args:
        grey: T grey frames, uint8, one at a time.
        points: Where the points are in each frame, pixels (centres at +0.5).
        usable: Bool [P]: points that can be followed (on the front of the face).

    Yields:
        T − 1 times the motion of each point, pixels; NaN where it could not be followed.
    """
    previous: np.ndarray | None = None
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.01)
    options = {"winSize": (WINDOW_PX, WINDOW_PX), "maxLevel": 2, "criteria": criteria}
    for t, frame in enumerate(grey):
        if previous is not None:
            motion = np.full((points.shape[1], 2), np.nan, np.float32)
            start = np.ascontiguousarray(points[t - 1, usable] - 0.5, np.float32)[:, None]
            end, found, _ = cv2.calcOpticalFlowPyrLK(previous, frame, start, None, **options)
            back, found_back, _ = cv2.calcOpticalFlowPyrLK(frame, previous, end, None, **options)
            near = np.linalg.norm(back - start, axis=-1)[:, 0] < FORTH_AND_BACK_PX
            good = near & (found[:, 0] > 0) & (found_back[:, 0] > 0)
            motion[usable] = np.where(good[:, None], (end - start)[:, 0], np.nan)
            yield motion
        previous = frame
