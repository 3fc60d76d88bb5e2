"""Does the avatar know where it errs? Rank agreement of its uncertainty with its error, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from ua3dtalk.evaluation.lips import correlation


@dataclass(frozen=True, kw_only=True)
class RiskAgreement:
    """Agreement of uncertainty and error over frames."""

    spearman: float | None
    """Spearman's rank correlation of uncertainty and error: 1 ranks perfectly, 0 knows nothing; None if undefined."""
    frames: int
    """Frames in which both are known."""


def risk_agreement(uncertainty: Float[np.ndarray, " t"], error: Float[np.ndarray, " t"]) -> RiskAgreement:
    """Rank correlation of a per-frame uncertainty with a per-frame error (larger = worse for both).

    Args:
        uncertainty: Any monotone scale; NaN where unknown.
        error: E.g. minus the PSNR of the frame, or its lip distance; NaN where unknown.

    Raises:
        ValueError: for lengths that differ.
    """
    if len(uncertainty) != len(error):
        raise ValueError(f"`uncertainty` must have {len(error)} frames as `error` has, got {len(uncertainty)}.")
    both = np.isfinite(uncertainty) & np.isfinite(error)
    if both.sum() < 3:
        return RiskAgreement(spearman=None, frames=int(both.sum()))
    rho = correlation(rankdata(uncertainty[both]), rankdata(error[both]))
    return RiskAgreement(spearman=rho, frames=int(both.sum()))
