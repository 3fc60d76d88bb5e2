"""What an evaluation found, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from ua3dtalk.evaluation.lips import CurveAgreement
from ua3dtalk.evaluation.measure import Definition, Measure
from ua3dtalk.evaluation.risk import RiskAgreement


@dataclass(frozen=True, kw_only=True)
class Score:
    """A mean over frames."""

    mean: float | None
    """Mean of the per-frame values; None if there is none."""
    interval: tuple[float, float] | None
    """95 % interval of the mean, moving-block bootstrap; None for short clips."""


@dataclass(frozen=True, kw_only=True)
class RegionScore:
    """Picture metrics of one region."""

    psnr_db: Score
    """Mean over frames of the frame's PSNR, dB (capped, see ``image.MAX_PSNR_DB``)."""
    ssim: Score
    """Mean over frames of the frame's mean SSIM in the region."""
    frames: int
    """Frames that counted."""


@dataclass(frozen=True, kw_only=True)
class FrameCurves:
    """Values per frame; NaN where undefined."""

    psnr_db: dict[str, Float64[np.ndarray, " t"]]
    """By region, dB."""
    ssim: dict[str, Float64[np.ndarray, " t"]]
    """By region."""
    lip_distance_px: Float64[np.ndarray, " t"]
    """LMD, pixels."""
    lip_distance: Float64[np.ndarray, " t"]
    """LMD over the distance of the outer eye corners."""
    opening: Float64[np.ndarray, " t"]
    """Mouth opening over the distance of the outer eye corners."""
    width: Float64[np.ndarray, " t"]
    """Mouth width over the distance of the outer eye corners."""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """All metrics of one row."""

    name: str
    """Name of the row, e.g. ``driven``."""
    regions: dict[str, RegionScore]
    """Picture metrics by region."""
    mouth_gain_db: float | None
    """Mean PSNR of the mouth box minus that of the static row over the same frames, dB; None without such a row."""
    lmd_px: Score
    """Lip landmark distance, pixels."""
    lmd: Score
    """Lip landmark distance over the distance of the outer eye corners."""
    opening: CurveAgreement
    """Mouth opening against the real video."""
    width: CurveAgreement
    """Mouth width against the real video."""
    missed: int
    """Frames of this row in which no face was found."""
    curves: FrameCurves
    """Values per frame."""
    risk: dict[str, RiskAgreement] | None = None
    """Agreement of the avatar's uncertainty with its error, by kind of error; None if no uncertainty was given."""
    measures: Mapping[str, Measure] = field(default_factory=dict)
    """Further metrics by key (``Evaluation.definitions``)."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All rows on the same frames."""

    frames: tuple[int, ...]
    """Indices of the frames in the subject."""
    size: tuple[int, int]
    """Width and height of the frames, pixels."""
    rows: dict[str, RowResult]
    """Results by row."""
    real_opening: Float64[np.ndarray, " t"]
    """Mouth opening of the real video."""
    real_width: Float64[np.ndarray, " t"]
    """Mouth width of the real video."""
    missed_real: int
    """Real frames in which no face was found."""
    detector: str
    """Name of the landmark detector, the same for real and rendered frames."""
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    """What the further metrics of the rows mean, in the order of the report."""
