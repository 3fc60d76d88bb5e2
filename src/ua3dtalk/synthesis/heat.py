"""Heat: colours, and uncertainty by percentile."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Float, Float64, UInt8

_LEVELS = 101
_PIXELS_PER_FRAME = 4096


class HeatScale:
    """Maps uncertainty to percentiles of what a sample of frames showed.

    The scale of the uncertainty itself is free (DESIGN §7), so only its order is shown.

    Args:
        maps: Uncertainty maps of the sample, 0 where there is no head.
    """

    def __init__(self, maps: Iterable[Float[np.ndarray, "h w"]]) -> None:
        parts = []
        for values in maps:
            inside = values[values > 0]
            parts.append(inside[:: max(1, len(inside) // _PIXELS_PER_FRAME)])
        known = np.concatenate(parts) if parts else np.zeros(0)
        self._knots = np.percentile(known, np.linspace(0, 100, _LEVELS)) if len(known) else np.linspace(0, 1, _LEVELS)

    def percentiles(self, values: Float[np.ndarray, "h w"]) -> Float64[np.ndarray, "h w"]:
        """0..100 per pixel; 0 where there is no head."""
        ranks = np.interp(values, self._knots, np.linspace(0, 100, _LEVELS))
        return np.where(values > 0, ranks, 0.0)


def heat_colors(levels: UInt8[np.ndarray, "a b"]) -> UInt8[np.ndarray, "a b 3"]:
    """The heat map's colours, RGB: dark for 0, yellow for 255."""
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1])
