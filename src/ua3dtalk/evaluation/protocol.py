"""Scores rows of rendered frames against the real ones: raw frames, one at a time, the same detector for both.

A row is a name and a function that renders a frame. Which conditions stand behind it is the caller's business; the
names that reports know are

- *real*: the real video itself (one more JPEG), the ceiling;
- *static*: the avatar without motion, the floor; the mouth-box gain is measured over it;
- *expression*: driven by the tracked expression of the test frames;
- *driven*: driven by sound, true pose and upper-face signals of the test frames;
- *audio-only*: nothing of the test frames but sound and pose.

Memory is bounded: what stays of a frame are a few numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.evaluation.image import mean_ssim, psnr_db, ssim_map
from ua3dtalk.evaluation.intervals import mean_interval
from ua3dtalk.evaluation.lips import LipShape, curve_agreement, lip_distance_px, lip_shape
from ua3dtalk.evaluation.measure import Measure, Meter, Moment
from ua3dtalk.evaluation.regions import REGIONS, FrameRegions, frame_regions
from ua3dtalk.evaluation.results import Evaluation, FrameCurves, RegionScore, RowResult, Score
from ua3dtalk.evaluation.risk import risk_agreement
from ua3dtalk.tracking.landmarks import FaceLandmarks

STATIC_ROW = "static"

FrameSource = Callable[[int], np.ndarray]
"""Renders or reads frame ``i`` of the subject: uint8 RGB ``[h, w, 3]``."""

Parsing = Callable[[int, np.ndarray, np.ndarray | None], np.ndarray]
"""Labels ``[h, w]``, uint8, of real frame ``i``, given its picture and its landmarks (None without a face)."""


MakeMeters = Callable[[str], Sequence[Meter]]
"""Fresh meters for the row of that name."""


@runtime_checkable
class FrameWatcher(Protocol):
    """Sees every frame once, in order: pictures and videos are made on the way."""

    def see(self, position: int, frames: Mapping[str, np.ndarray], regions: FrameRegions) -> None:
        """Real frame under ``reference``, rendered ones under their row's name; the real frame's regions."""
        ...


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The real video to score against."""

    frames: Sequence[int]
    """Indices of the held-out frames, in order of time."""
    picture: FrameSource
    """Real frame ``i``, uint8 RGB."""
    parsing: Parsing
    """Labels of the real frames."""
    head_meaning: str | None = None
    """What *head* means where it is not the subject's parsing (``regions.REGIONS``)."""


class _RowTally:
    """Per-frame numbers of one row, while they come in."""

    def __init__(self) -> None:
        self.psnr: dict[str, list[float]] = {name: [] for name in REGIONS}
        self.ssim: dict[str, list[float]] = {name: [] for name in REGIONS}
        self.shapes: list[tuple[float, float, float, float]] = []

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        similar = ssim_map(moment.picture, moment.real)
        for name in REGIONS:
            mask = getattr(moment.regions, name)
            psnr = None if mask is None else psnr_db(moment.picture, moment.real, mask)
            ssim = None if mask is None else mean_ssim(similar, mask)
            self.psnr[name].append(np.nan if psnr is None else psnr)
            self.ssim[name].append(np.nan if ssim is None else ssim)
        distance = interocular = opening = width = np.nan
        if moment.landmarks is not None:
            shape = lip_shape(moment.landmarks)
            opening, width = shape.opening, shape.width
            if moment.real_landmarks is not None:
                real_shape = lip_shape(moment.real_landmarks)
                distance, interocular = lip_distance_px(shape, real_shape), real_shape.interocular
        self.shapes.append((distance, distance / interocular, opening, width))

    def curves(self) -> FrameCurves:
        columns = np.array(self.shapes, np.float64).reshape(-1, 4).T
        return FrameCurves(
            psnr_db={name: np.array(values, np.float64) for name, values in self.psnr.items()},
            ssim={name: np.array(values, np.float64) for name, values in self.ssim.items()},
            lip_distance_px=columns[0],
            lip_distance=columns[1],
            opening=columns[2],
            width=columns[3],
        )


class _Row:
    """All that measures one row; the frames of a row come in order, one at a time."""

    def __init__(self, detector: FaceLandmarks, meters: list[Meter]) -> None:
        self.detector, self.meters = detector, meters
        self.tally = _RowTally()

    def see(
        self,
        position: int,
        picture: np.ndarray,
        real: np.ndarray,
        real_landmarks: np.ndarray | None,
        regions: FrameRegions,
    ) -> None:
        """Take one frame."""
        moment = Moment(
            position=position,
            picture=picture,
            real=real,
            landmarks=self.detector.detect(picture),
            real_landmarks=real_landmarks,
            regions=regions,
        )
        for meter in (self.tally, *self.meters):
            meter.see(moment)

    def measures(self) -> dict[str, Measure]:
        """What the meters found."""
        return {key: value for meter in self.meters for key, value in meter.results().items()}


def evaluate_rows(
    reference: Reference,
    rows: Mapping[str, FrameSource],
    make_detector: Callable[[], FaceLandmarks],
    generator: np.random.Generator,
    watchers: Sequence[FrameWatcher] = (),
    meters: MakeMeters = lambda row: (),
    progress: Progress | None = None,
) -> Evaluation:
    """Score every row on the held-out frames.

    Args:
        reference: Real frames and their parsing.
        rows: Rendering functions by name, in the order of the report.
        make_detector: Gives a fresh landmark detector. Real video and every row get their own, because a detector
            that follows the face from frame to frame must not see two videos in turn.
        generator: For the intervals.
        watchers: See every frame once.
        meters: Further metrics: gives a row's fresh meters.
        progress: Where to report.

    Raises:
        ValueError: no frames, or a frame of the wrong size or type.
    """
    if not len(reference.frames):
        raise ValueError("`reference.frames` must name at least one frame.")
    real_shapes: list[LipShape | None] = []
    size = (0, 0)
    with ExitStack() as stack:
        task = stack.enter_context((progress or Silent()).task("evaluate", len(reference.frames)))
        real_detector = stack.enter_context(closing(make_detector()))
        measured = {name: _Row(stack.enter_context(closing(make_detector())), list(meters(name))) for name in rows}
        # What is rendered is measured while the next row is rendered. One worker: rows share the networks of metrics.
        worker = stack.enter_context(ThreadPoolExecutor(1))
        for position, index in enumerate(reference.frames):
            real = reference.picture(index)
            size = (real.shape[1], real.shape[0])
            landmarks = real_detector.detect(real)
            regions = frame_regions(reference.parsing(index, real, landmarks), landmarks)
            real_shapes.append(None if landmarks is None else lip_shape(landmarks))
            seen, waiting = {"reference": real}, []
            for name, source in rows.items():
                seen[name] = _checked(source(index), real, name)
                waiting.append(worker.submit(measured[name].see, position, seen[name], real, landmarks, regions))
            waiting += [worker.submit(watcher.see, position, seen, regions) for watcher in watchers]
            for done in waiting:
                done.result()
            task.advance()
        detector_name = real_detector.name
    opening, width = (np.array([getattr(s, what, np.nan) for s in real_shapes]) for what in ("opening", "width"))
    curves = {name: row.tally.curves() for name, row in measured.items()}
    static = curves[STATIC_ROW].psnr_db["mouth"] if STATIC_ROW in curves else None
    return Evaluation(
        frames=tuple(int(i) for i in reference.frames),
        size=size,
        rows={
            name: replace(_summary(name, c, opening, width, static, generator), measures=measured[name].measures())
            for name, c in curves.items()
        },
        definitions={d.key: d for row in measured.values() for meter in row.meters for d in meter.definitions},
        real_opening=opening,
        real_width=width,
        missed_real=int(np.isnan(opening).sum()),
        detector=detector_name,
    )


def with_risk(evaluation: Evaluation, row: str, uncertainty: Float[np.ndarray, " t"]) -> Evaluation:
    """Add the agreement of a row's per-frame uncertainty with its errors.

    Args:
        evaluation: What ``evaluate_rows`` gave.
        row: Name of the row that the uncertainty belongs to.
        uncertainty: One value per evaluated frame; NaN where unknown.
    """
    result = evaluation.rows[row]
    errors = {
        "head_psnr": -result.curves.psnr_db["head"],
        "mouth_psnr": -result.curves.psnr_db["mouth"],
        "lip_distance": result.curves.lip_distance,
    }
    risk = {name: risk_agreement(np.asarray(uncertainty, np.float64), error) for name, error in errors.items()}
    return replace(evaluation, rows={**evaluation.rows, row: replace(result, risk=risk)})


def _summary(
    name: str,
    curves: FrameCurves,
    real_opening: np.ndarray,
    real_width: np.ndarray,
    static_mouth: np.ndarray | None,
    generator: np.random.Generator,
) -> RowResult:
    regions = {
        region: RegionScore(
            psnr_db=_score(curves.psnr_db[region], generator),
            ssim=_score(curves.ssim[region], generator),
            frames=int(np.isfinite(curves.psnr_db[region]).sum()),
        )
        for region in REGIONS
    }
    gain = None if static_mouth is None else _score(curves.psnr_db["mouth"] - static_mouth, generator).mean
    return RowResult(
        name=name,
        regions=regions,
        mouth_gain_db=gain,
        lmd_px=_score(curves.lip_distance_px, generator),
        lmd=_score(curves.lip_distance, generator),
        opening=curve_agreement(curves.opening, real_opening),
        width=curve_agreement(curves.width, real_width),
        missed=int(np.isnan(curves.opening).sum()),
        curves=curves,
    )


def _score(values: np.ndarray, generator: np.random.Generator) -> Score:
    known = values[np.isfinite(values)]
    return Score(mean=float(known.mean()) if known.size else None, interval=mean_interval(values, generator))


def _checked(frame: np.ndarray, real: np.ndarray, row: str) -> np.ndarray:
    if frame.dtype != np.uint8 or frame.shape != real.shape:
        raise ValueError(f"Row {row!r} must give uint8 frames {real.shape}, got {frame.dtype} {frame.shape}.")
    return frame
