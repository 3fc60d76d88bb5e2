"""Expression of one face without camera and head: the same numbers for real and rendered frames of any system."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float32, Float64

from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.lip_targets import NUM_LIP_COMPONENTS, lip_shapes
from ua3dtalk.subject.face_signals import raw_signals
from ua3dtalk.subject.track_data import UPPER_NAMES
from ua3dtalk.tracking.topology import mean_face

EXPRESSION_NAMES = (*(f"lip{i:02d}" for i in range(NUM_LIP_COMPONENTS)), "opening", "width", *UPPER_NAMES)
"""What the entries of ``expression_vector`` are: 12 lip components, opening, width, six upper-face signals."""
NUM_EXPRESSION = len(EXPRESSION_NAMES)
"""20."""


def expression_vector(points: Float64[np.ndarray, "478 3"]) -> Float64[np.ndarray, " 20"]:
    """Expression of one frame, the entries of ``EXPRESSION_NAMES``.

    - 12 lip components: the basis of the content prior that comes with the package (lip motion over many speakers,
      orthonormal, so that distances are those of lip points), about the mean face's lips;
    - the mouth's opening and width;
    - upper-face signals of ``tracking.expression.raw_signals``: larger is more active. They hold the person's anatomy
      too: compare frames of one person, or take the person's mean out first.

    Args:
        points: ``normalised_points``.

    Returns:
        Eye distances (outer corner to outer corner); AU45 is a ratio of eye height and width. Not standardised.
    """
    signals = raw_signals(points[None])
    return np.concatenate([lip_vector(points), [float(signals[name][0]) for name in UPPER_NAMES]])


def lip_vector(points: Float64[np.ndarray, "478 3"]) -> Float64[np.ndarray, " 14"]:
    """The lips' part of ``expression_vector``: 12 components, opening and width, eye distances."""
    shape = lip_shapes(points[None, :468])[0].astype(np.float64)
    return np.concatenate([_lip_basis().astype(np.float64) @ (shape[:80] - _mean_lips()), shape[80:]])


@cache
def _lip_basis() -> Float32[np.ndarray, "12 80"]:
    return ContentPrior.load().basis


@cache
def _mean_lips() -> np.ndarray:
    return lip_shapes(mean_face().vertices[None])[0, :80].astype(np.float64)
