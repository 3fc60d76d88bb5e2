"""The forecast as a picture that explains itself: colour where errors are expected, a legend, and the reasons."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ua3dtalk.avatar.forecast import FrameForecast
from ua3dtalk.synthesis.heat import heat_colors

FULL = 0.12
"""Expected error that has the brightest colour, of full brightness; the same for all videos."""
LEGEND_PX = 96
NARROWEST_PX = 512
"""Smaller pictures are enlarged, so that the words can be read."""
_STRONGEST = 0.9
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PALE, _WARN = (20, 20, 20), (110, 110, 110), (170, 30, 20)
_FIRST_COLOUR = 60
"""Colours start here: what is darker cannot be told from hair."""


def heat_size(width: int, height: int, beside: bool) -> tuple[int, int]:
    """Width and height of the heat video of an avatar of that size."""
    scale = _scale(width)
    return width * scale * (2 if beside else 1), height * scale + LEGEND_PX


def error_picture(
    image: UInt8[np.ndarray, "h w 3"], forecast: FrameForecast, reasons: Sequence[str], beside: bool
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A frame in grey, coloured where it is expected to be wrong, over its legend.

    Args:
        image: The frame.
        forecast: What errors to expect of it.
        reasons: Why it is doubted, in words.
        beside: Also show the frame itself, on the left.
    """
    scale = _scale(image.shape[1])
    picture = _enlarged(_coloured(image, forecast.error), scale)
    if beside:
        picture = np.concatenate([_enlarged(image, scale), picture], 1)
    return np.concatenate([picture, _legend(picture.shape[1], forecast, reasons)], 0)


def _scale(width: int) -> int:
    return -(-NARROWEST_PX // width)


def _enlarged(picture: np.ndarray, scale: int) -> np.ndarray:
    return picture if scale == 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


def _coloured(image: np.ndarray, error: Float[np.ndarray, "h w"]) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return _tinted(grey, error)


def _tinted(grey: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Nothing for no error, opaque and bright for a large one."""
    level = np.clip(error / FULL, 0, 1)
    colours = heat_colors((_FIRST_COLOUR + (255 - _FIRST_COLOUR) * level).astype(np.uint8)).astype(np.float32)
    weight = (_STRONGEST * np.sqrt(level))[..., None].astype(np.float32)
    return (grey * (1 - weight) + colours * weight).astype(np.uint8)


def _legend(width: int, forecast: FrameForecast, reasons: Sequence[str]) -> np.ndarray:
    strip = np.full((LEGEND_PX, width, 3), 255, np.uint8)
    _write(strip, "How wrong is each pixel likely to be?", (8, 16), _INK, width - 16)
    left, right = 8, width - 8
    ramp = np.linspace(0, FULL, right - left)[None].repeat(12, 0)
    strip[22:34, left:right] = _tinted(np.full((*ramp.shape, 3), 128, np.uint8), ramp)
    for share, text in ((0.0, "likely right"), (0.5, f"{FULL / 2:.0%} off"), (1.0, f"{FULL:.0%} off, or more")):
        wide = cv2.getTextSize(text, _FONT, 0.38, 1)[0][0]
        x = int(np.clip(left + share * (right - left) - wide * share, left, right - wide))
        _write(strip, text, (x, 46), _PALE, width, 0.38)
    frame = f"This frame: {forecast.head:.1%} off on average over the head. {_rank(forecast.confidence)}"
    _write(strip, frame, (8, 66), _INK, width - 16)
    words = "Doubt: " + ", ".join(reasons) + "." if reasons else "Nothing unusual in sound, emotion or pose."
    _write(strip, words, (8, 86), _WARN if reasons else _PALE, width - 16)
    return strip


def _rank(confidence: float) -> str:
    if confidence > 0.75:
        return "One of the surest."
    return "One of the least sure." if confidence < 0.25 else "As sure as most."


def _write(
    strip: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int], room: int, size: float = 0.46
) -> None:
    """Text no wider than the room, in place."""
    while size > 0.2 and cv2.getTextSize(text, _FONT, size, 1)[0][0] > room:
        size -= 0.02
    cv2.putText(strip, text, at, _FONT, size, colour, 1, cv2.LINE_AA)
