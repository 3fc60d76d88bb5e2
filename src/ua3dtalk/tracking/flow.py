"""Optical flow of points on the rigid part of the face, from frame to frame (DESIGN §5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from ua3dtalk.core.parallel import ordered_map

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

    Returns:
        T − 1 times the motion of each point, pixels; NaN where it could not be followed.
    """
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.01)

    def follow(source: np.ndarray, target: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        end, found, _ = cv2.calcOpticalFlowPyrLK(
            source,
            target,
            start,
            start.copy(),
            winSize=(WINDOW_PX, WINDOW_PX),
            maxLevel=2,
            criteria=criteria,
        )
        return end, found[:, 0] > 0

    def between(pair: tuple[int, np.ndarray, np.ndarray]) -> np.ndarray:
        t, before, after = pair
        motion = np.full((points.shape[1], 2), np.nan, np.float32)
        start = np.ascontiguousarray(points[t, usable] - 0.5, np.float32)[:, None]
        end, found = follow(before, after, start)
        back, found_back = follow(after, before, end)
        near = np.linalg.norm(back - start, axis=-1)[:, 0] < FORTH_AND_BACK_PX
        good = near & found & found_back
        motion[usable] = np.where(good[:, None], (end - start)[:, 0], np.nan)
        return motion

    return ordered_map(between, ((t, *pair) for t, pair in enumerate(pairwise(grey))))
