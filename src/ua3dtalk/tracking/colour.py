"""Colour models: smoothed histograms in Lab."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from scipy.ndimage import gaussian_filter

BINS = 32
SMOOTHING_BINS = 1.0
FLOOR = 1e-6


class ColourModels:
    """Histograms of colour for each of C classes.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        self._counts = np.zeros((num_classes, BINS**3))

    def add(self, bins: np.ndarray, weights: np.ndarray) -> None:
        """Count colours.

        Args:
            bins: ``colour_bins`` of some pixels, [P].
            weights: How much each pixel counts for each class, [C, P].
        """
        for counts, weight in zip(self._counts, weights, strict=True):
            counts += np.bincount(bins, weight, minlength=BINS**3)

    def fit(self) -> Float32[np.ndarray, "b c"]:
        """Log likelihood of every colour (rows: ``colour_bins``); a class without pixels likes all colours alike."""
        table = []
        for counts in self._counts:
            cube = counts.reshape(BINS, BINS, BINS) if counts.sum() > 0 else np.ones((BINS,) * 3)
            smooth = gaussian_filter(cube, SMOOTHING_BINS, mode="nearest")
            table.append(np.log(smooth / smooth.sum() + FLOOR).ravel())
        return np.ascontiguousarray(np.array(table, np.float32).T)

    def chroma_ratio(self) -> Float32[np.ndarray, " b"]:
        """Of two classes: log of how much likelier every colour is in the first, whatever its lightness."""
        chroma = [gaussian_filter(c.reshape(BINS, BINS, BINS).sum(0), SMOOTHING_BINS) for c in self._counts]
        first, second = (c / max(float(c.sum()), 1.0) + FLOOR for c in chroma)
        return np.broadcast_to(np.log(first / second), (BINS, BINS, BINS)).ravel().astype(np.float32)


def colour_bins(frame: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """Index of each pixel's colour in the histograms, [H, W] int32. Slightly blurred: codecs smear colour."""
    lab = cv2.cvtColor(cv2.GaussianBlur(frame, (3, 3), 0), cv2.COLOR_RGB2LAB).astype(np.int32) * BINS // 256
    return (lab[..., 0] * BINS + lab[..., 1]) * BINS + lab[..., 2]
