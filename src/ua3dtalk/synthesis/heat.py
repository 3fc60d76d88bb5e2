"""Uncertainty as heat over the face, by percentile, with a legend."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Float, Float64, UInt8

LEGEND_PX = 40
_LEVELS = 101
_STRENGTH = 0.75
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


def heat_picture(
    image: UInt8[np.ndarray, "h w 3"], deviation: Float[np.ndarray, "h w"], scale: HeatScale
) -> UInt8[np.ndarray, "h2 w 3"]:
    """The frame in grey with heat over the head, and the legend below it."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    ranks = scale.percentiles(deviation)
    colors = heat_colors((ranks * 2.55).astype(np.uint8)).astype(np.float32)
    weight = (_STRENGTH * (deviation > 0))[..., None].astype(np.float32)
    # The face stays visible through the colour: its grey value scales the heat.
    shaded = colors * (0.35 + 0.65 * grey / 255)
    mixed = (grey * (1 - weight) + shaded * weight).astype(np.uint8)
    return np.concatenate([mixed, _legend(image.shape[1])], 0)


def heat_colors(levels: UInt8[np.ndarray, "a b"]) -> UInt8[np.ndarray, "a b 3"]:
    """The heat map's colours, RGB: dark for 0, yellow for 255."""
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1])


def _legend(width: int) -> np.ndarray:
    strip = np.full((LEGEND_PX, width, 3), 255, np.uint8)
    strip[4:16, 6 : width - 6] = heat_colors(np.linspace(0, 255, width - 12).astype(np.uint8)[None])
    text = "surest   uncertainty by percentile of this video   least sure"
    size = 0.6
    while size > 0.2 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0] > width - 12:
        size -= 0.02
    return cv2.putText(strip, text, (6, 32), cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 1, cv2.LINE_AA)
