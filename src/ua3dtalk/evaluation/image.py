"""Picture metrics: PSNR and SSIM of uint8 RGB frames, over the whole frame or a region."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

MAX_PSNR_DB = 100.0
"""What identical pictures score. One grey step in one channel of one pixel of 256² already gives 101 dB."""

WINDOW = 11
HALF_WINDOW = WINDOW // 2
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2

Frame = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]


def psnr_db(rendered: Frame, real: Frame, region: Mask | None = None) -> float | None:
    """Peak signal-to-noise ratio: −10 log10 of the mean squared error over all channels, peak 1.

    Args:
        rendered: RGB.
        real: RGB of the same size.
        region: Pixels that count; None for all.

    Returns:
        dB, at most ``MAX_PSNR_DB``; None for an empty region.

    Raises:
        ValueError: for sizes that differ.
    """
    _check(rendered, real, region)
    difference = rendered.astype(np.float32) - real.astype(np.float32)
    if region is not None:
        difference = difference[region]
    if not difference.size:
        return None
    error = float(np.mean(np.square(difference), dtype=np.float64)) / 255.0**2
    return min(MAX_PSNR_DB, -10 * float(np.log10(error))) if error > 0 else MAX_PSNR_DB


def ssim_map(rendered: Frame, real: Frame) -> Float64[np.ndarray, "h w"]:
    """Structural similarity at every place of the window (Wang et al. 2004, 11×11 Gaussian, σ 1.5, data range 1).

    Means, variances (population, not sample) and covariance per channel, then averaged over the three channels.
    The window must lie inside the picture: the outer 5 pixels are NaN. That is scikit-image's convention; the mean of
    torchmetrics also counts those pixels, over a reflected border.
    """
    _check(rendered, real, None)
    a, b = rendered.astype(np.float64) / 255, real.astype(np.float64) / 255
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + C1) * (2 * cov + C2)
    similar /= (mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)
    values = similar.mean(-1)
    inside = np.zeros(values.shape, bool)
    inside[HALF_WINDOW : values.shape[0] - HALF_WINDOW, HALF_WINDOW : values.shape[1] - HALF_WINDOW] = True
    values[~inside] = np.nan
    return values


def mean_ssim(values: Float64[np.ndarray, "h w"], region: Mask | None = None) -> float | None:
    """Mean of an SSIM map over the window centres in a region; None where none of them lies inside the picture."""
    chosen = values if region is None else values[region]
    chosen = chosen[np.isfinite(chosen)]
    return float(chosen.mean()) if chosen.size else None


def through_jpeg(frame: Frame, quality: int = 95) -> Frame:
    """The frame after one JPEG coding: what storage alone costs, for the row of the real video."""
    _, code = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1])


def _blur(image: np.ndarray) -> np.ndarray:
    x = np.arange(WINDOW) - HALF_WINDOW
    weights = np.exp(-(x**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    return cv2.sepFilter2D(image, cv2.CV_64F, weights, weights, borderType=cv2.BORDER_REFLECT)


def _check(rendered: np.ndarray, real: np.ndarray, region: np.ndarray | None) -> None:
    if rendered.shape != real.shape:
        raise ValueError(f"`rendered` must be as large as `real` {real.shape}, got {rendered.shape}.")
    if region is not None and region.shape != real.shape[:2]:
        raise ValueError(f"`region` must be {real.shape[:2]}, got {region.shape}.")
