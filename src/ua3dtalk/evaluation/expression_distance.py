"""E-FID: Fréchet distance of the expressions of two videos, with an extractor of our own."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from ua3dtalk.evaluation.expression_features import EXPRESSION_NAMES, expression_vector
from ua3dtalk.evaluation.measure import Definition, Measure, Moment

UNIT = 0.01
"""Expression vectors are measured in hundredths of the eye distance."""
E_FID = Definition(
    key="e_fid",
    title="E-FID (our extractor)",
    unit="(1/100 eye distance)²",
    ideal="lower",
    meaning=f"Fréchet distance between normal distributions fitted to {len(EXPRESSION_NAMES)} expression numbers of "
    "all frames (12 lip components of many speakers, opening and width, six upper-face signals), after the head's "
    "pose, size and place are taken out. The floor is the same between the real clip's two halves: below it lies "
    "noise. Not comparable with E-FIDs of other extractors, nor across clip lengths.",
    source="Tian et al., EMO (ECCV 2024); Fréchet distance as in Heusel et al. 2017",
)


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """|μa − μb|² + tr(Ca + Cb − 2 (Ca Cb)^½), with unbiased covariances.

    Args:
        a: Features of N ≥ 2 frames.
        b: Features of M ≥ 2 frames.

    Raises:
        ValueError: for fewer than two frames.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"A covariance needs two frames, got {len(a)} and {len(b)}.")
    a, b = a.astype(np.float64), b.astype(np.float64)
    shift = a.mean(0) - b.mean(0)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The eigenvalues of Ca Cb are real and not negative; rounding may say otherwise.
    root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(max(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * root, 0.0))


class ExpressionDistanceMeter:
    """E-FID over the frames in which both faces were found, with the real clip's own floor."""

    definitions = (E_FID,)

    def __init__(self) -> None:
        self._rendered: list[Float64[np.ndarray, " d"]] = []
        self._real: list[Float64[np.ndarray, " d"]] = []

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.points is not None and moment.real_points is not None:
            self._rendered.append(expression_vector(moment.points) / UNIT)
            self._real.append(expression_vector(moment.real_points) / UNIT)

    def results(self) -> dict[str, Measure]:
        """The distance; the details hold dimension, frames and floor."""
        frames, width = len(self._real), len(EXPRESSION_NAMES)
        details: dict[str, float | int | None] = {"dimension": width, "frames": frames, "floor": None}
        if frames < 2 * (width + 1):
            return {E_FID.key: Measure(value=None, unavailable=f"{frames} frames are too few", details=details)}
        real = np.array(self._real)
        details["floor"] = round(frechet_distance(real[: frames // 2], real[frames // 2 :]), 4)
        return {E_FID.key: Measure(value=frechet_distance(np.array(self._rendered), real), details=details)}
