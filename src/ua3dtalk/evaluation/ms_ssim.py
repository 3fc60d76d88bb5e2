"""MS-SSIM: structural similarity over five scales."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ua3dtalk.evaluation.frame_mean import mean_over_frames
from ua3dtalk.evaluation.image import C1, C2, HALF_WINDOW, SIGMA, WINDOW, Frame
from ua3dtalk.evaluation.measure import Definition, Measure, Moment

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003)."""
MIN_SIDE_PX = WINDOW * 2 ** (len(WEIGHTS) - 1)
"""Smallest side whose coarsest scale still holds one window, pixels."""
MS_SSIM = Definition(
    key="ms_ssim",
    title="MS-SSIM",
    unit="",
    ideal="higher",
    meaning="Multi-scale structural similarity of the whole frame: five scales by 2×2 means, an 11×11 window, σ 1.5; "
    "the three colour channels are averaged; contrast and structure count inside the picture, the luminance of the "
    f"coarsest scale up to its reflected border. Mean over frames; needs {MIN_SIDE_PX} px on the shorter side.",
    source="Wang, Simoncelli and Bovik, Asilomar 2003; borders as in torchmetrics",
)


def ms_ssim(rendered: Frame, real: Frame) -> float | None:
    """Multi-scale structural similarity: the product of contrast·structure at five scales and of the last scale's SSIM.

    A scale's term is its mean over pixels and channels, negative means count as 0, raised to its weight (Wang et al.
    2003, equation 7, all exponents of one scale equal). Borders are torchmetrics': the outer 5 pixels of a scale do not
    count, except in the SSIM of the coarsest one, which goes over a reflected border.

    Args:
        rendered: RGB.
        real: RGB of the same size.

    Returns:
        0..1, 1 for identical frames; None below ``MIN_SIDE_PX`` on a side.

    Raises:
        ValueError: for sizes that differ.
    """
    if rendered.shape != real.shape:
        raise ValueError(f"`rendered` must be as large as `real` {real.shape}, got {rendered.shape}.")
    if min(real.shape[:2]) < MIN_SIDE_PX:
        return None
    # With the sum s and the difference d of the two frames, every moment of SSIM is one of s or of d: four filters
    # instead of five, and identical frames give exactly 1.
    a, b = rendered.astype(np.float32) / 255, real.astype(np.float32) / 255
    total, difference = a + b, a - b
    value = 1.0
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        value *= max(0.0, _scale_term(total, difference, with_luminance=last)) ** weight
        if not last:
            total, difference = _halved(total), _halved(difference)
    return value


class MsSsimMeter:
    """Mean over the frames of one row.

    Args:
        seed: Of the interval's draws.
    """

    definitions = (MS_SSIM,)

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._values: list[float] = []
        self._small: tuple[int, int] | None = None

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        value = ms_ssim(moment.picture, moment.real)
        if value is None:
            self._small = (moment.real.shape[1], moment.real.shape[0])
        else:
            self._values.append(value)

    def results(self) -> dict[str, Measure]:
        """The mean; unavailable for frames too small for five scales."""
        if self._small is not None:
            width, height = self._small
            why = f"Five scales need frames of {MIN_SIDE_PX} px on the shorter side; these are {width}×{height}."
            return {MS_SSIM.key: Measure(value=None, unavailable=why)}
        return {MS_SSIM.key: mean_over_frames(self._values, seed=self._seed)}


def make_ms_ssim_meter(seed: int = 0) -> Callable[[], MsSsimMeter]:
    """Gives fresh meters.

    Args:
        seed: Of the interval's draws.
    """
    return lambda: MsSsimMeter(seed)


def _scale_term(total: np.ndarray, difference: np.ndarray, *, with_luminance: bool) -> float:
    """Mean of contrast·structure inside the picture or, with luminance, of SSIM up to the reflected border."""
    mean_s2, var_s = _moments(total)
    mean_d2, var_d = _moments(difference)
    # μa² + μb² = (s² + d²) / 2 and 2 μa μb = (s² − d²) / 2; the same for the variances and the covariance.
    similar = _ratio(var_s, var_d, 2 * C2)
    if with_luminance:
        similar *= _ratio(mean_s2, mean_d2, 2 * C1)
    else:
        similar = similar[HALF_WINDOW:-HALF_WINDOW, HALF_WINDOW:-HALF_WINDOW]
    return float(similar.mean(dtype=np.float64))


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared mean and variance in the window at every pixel."""
    mean2, variance = _blur(image), _blur(np.square(image))
    np.square(mean2, out=mean2)
    variance -= mean2
    return mean2, np.maximum(variance, 0, out=variance)


def _ratio(s: np.ndarray, d: np.ndarray, constant: float) -> np.ndarray:
    """(s − d + constant) / (s + d + constant); in place, because fresh arrays of this size cost more than the sums."""
    upper = s - d
    s += d
    upper += constant
    s += constant
    upper /= s
    return upper


def _blur(image: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA)
    return cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)


def _halved(image: np.ndarray) -> np.ndarray:
    """Mean of every 2×2 pixels; an odd last row or column is left out."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
