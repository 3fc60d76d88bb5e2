"""Lip metrics from landmarks: landmark distance, and how the mouth's opening and width follow the real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from ua3dtalk.evaluation.landmark_points import (
    LEFT_CORNER,
    LEFT_EYE,
    LIPS,
    LOWER_LIP,
    RIGHT_CORNER,
    RIGHT_EYE,
    UPPER_LIP,
)

MAX_LAG_FRAMES = 10
_MIN_FRAMES = 3

Landmarks = Float32[np.ndarray, "478 3"]


@dataclass(frozen=True, kw_only=True)
class LipShape:
    """What the lip metrics need of one frame."""

    points: Float64[np.ndarray, "40 2"]
    """Outer, then inner lip points, pixels."""
    interocular: float
    """Distance of the outer eye corners, pixels."""
    opening: float
    """Distance of inner lip points 13 and 14 over ``interocular``."""
    width: float
    """Distance of the mouth corners 61 and 291 over ``interocular``."""


def lip_shape(landmarks: Landmarks) -> LipShape:
    """Measure one face."""
    flat = landmarks[:, :2].astype(np.float64)

    def distance(a: int, b: int) -> float:
        return float(np.linalg.norm(flat[a] - flat[b]))

    interocular = max(distance(RIGHT_EYE, LEFT_EYE), 1e-6)
    return LipShape(
        points=flat[list(LIPS)],
        interocular=interocular,
        opening=distance(UPPER_LIP, LOWER_LIP) / interocular,
        width=distance(RIGHT_CORNER, LEFT_CORNER) / interocular,
    )


def lip_distance_px(rendered: LipShape, real: LipShape) -> float:
    """Landmark distance (LMD): both lip outlines centred on their mean, mean Euclidean distance of the 40 points.

    Source: Chen et al., ECCV 2018, as the field computes it, with MediaPipe's 40 lip points instead of the 20 of the
    68-point scheme. In pixels it grows with the resolution: divide by ``real.interocular`` to compare clips.
    """
    a = rendered.points - rendered.points.mean(0)
    b = real.points - real.points.mean(0)
    return float(np.linalg.norm(a - b, axis=1).mean())


@dataclass(frozen=True, kw_only=True)
class CurveAgreement:
    """How a rendered curve follows the real one. None where it cannot be computed (no movement, too few frames)."""

    correlation: float | None
    """Pearson's r without shift."""
    amplitude: float | None
    """Standard deviation of the rendered curve over that of the real one; 1 is right."""
    lag_frames: int | None
    """Shift with the highest correlation, frames; positive: the rendered mouth comes late."""
    correlation_at_lag: float | None
    """Pearson's r at that shift."""
    frames: int
    """Frames in which both faces were found."""


def curve_agreement(
    rendered: Float[np.ndarray, " t"], real: Float[np.ndarray, " t"], max_lag: int = MAX_LAG_FRAMES
) -> CurveAgreement:
    """Compare two curves over time; NaN marks frames without a face, and they are left out.

    Args:
        rendered: Curve of the rendered video.
        real: Curve of the real video, same length.
        max_lag: Largest shift tried in each direction, frames; at least a third of the frames must overlap.

    Raises:
        ValueError: for lengths that differ.
    """
    if len(rendered) != len(real):
        raise ValueError(f"`rendered` must have {len(real)} frames as `real` has, got {len(rendered)}.")
    both = np.isfinite(rendered) & np.isfinite(real)
    at_zero = correlation(rendered, real)
    lags = [lag for lag in range(-max_lag, max_lag + 1) if len(real) - abs(lag) >= max(_MIN_FRAMES, len(real) / 3)]
    scores = {lag: r for lag in lags if (r := _shifted(rendered, real, lag)) is not None}
    best = max(scores, key=lambda lag: (scores[lag], -abs(lag))) if at_zero is not None and scores else None
    spread = float(np.std(real[both])) if both.sum() >= _MIN_FRAMES else 0.0
    return CurveAgreement(
        correlation=at_zero,
        amplitude=float(np.std(rendered[both])) / spread if spread > 0 else None,
        lag_frames=best,
        correlation_at_lag=None if best is None else scores[best],
        frames=int(both.sum()),
    )


def correlation(a: Float[np.ndarray, " t"], b: Float[np.ndarray, " t"]) -> float | None:
    """Pearson's r over the frames where both are finite; None below three frames or without any movement."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < _MIN_FRAMES:
        return None
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 1e-12 else None


def _shifted(rendered: np.ndarray, real: np.ndarray, lag: int) -> float | None:
    """Correlation of rendered[t + lag] with real[t]."""
    if lag >= 0:
        return correlation(rendered[lag:], real[: len(real) - lag])
    return correlation(rendered[:lag], real[-lag:])
