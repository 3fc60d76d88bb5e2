"""Runs an evaluation into a folder: ``metrics.json``, ``index.html``, ``sheet.jpg``, ``side_by_side.mp4``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.files import atomic_path, write_json
from ua3dtalk.core.progress import Progress
from ua3dtalk.core.provenance import provenance
from ua3dtalk.evaluation.error_pictures import FULL_HEAT, ErrorMaps, Extremes, error_curves_png
from ua3dtalk.evaluation.image import MAX_PSNR_DB, WINDOW
from ua3dtalk.evaluation.intervals import BLOCK_FRAMES, RESAMPLES
from ua3dtalk.evaluation.lips import MAX_LAG_FRAMES
from ua3dtalk.evaluation.page import ROW_MEANINGS, render_page
from ua3dtalk.evaluation.pictures import ContactSheet, SideBySide, encode_jpeg, mouth_curves_png
from ua3dtalk.evaluation.protocol import FrameSource, MakeMeters, Reference, evaluate_rows, with_risk
from ua3dtalk.evaluation.regions import REGIONS, FrameRegions, erosion_px
from ua3dtalk.evaluation.results import Evaluation, RowResult
from ua3dtalk.media.marks import mark_text
from ua3dtalk.tracking.landmarks import FaceLandmarks

SCHEMA_VERSION = 2
"""2: ``measures`` per row, with their definitions under ``settings``."""
VIDEO_NAME = "side_by_side.mp4"
MAPS_TITLE = f"Mean error per pixel, black 0 to pale yellow {FULL_HEAT:.0%} of the brightness range"


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What a report is made from."""

    reference: Reference
    """Held-out frames."""
    rows: Mapping[str, FrameSource]
    """Rendering functions by row."""
    make_detector: Callable[[], FaceLandmarks]
    """Gives a fresh landmark detector."""
    audio: Float32[np.ndarray, " s"] | None = None
    """Sound of the held-out frames, 16 kHz mono, for the side-by-side video."""
    meters: MakeMeters = lambda row: ()
    """Further metrics: gives a row's fresh meters."""
    shown: str = "driven"
    """Row whose worst and best frames are shown."""
    uncertainty: Mapping[str, Callable[[int], float]] | None = None
    """By row: uncertainty of frame ``i``, asked after it was rendered; None where the avatar gives none."""
    speed: Mapping[str, Any] | None = None
    """Times of synthesis by stage (``speed.speed_facts``); None where nothing was synthesized."""
    facts: Mapping[str, Any] | None = None
    """More to record: avatar, subject, preset, back-end (JSON-serialisable)."""
    seed: int = 0
    """Seed of the intervals."""


def write_report(out: Path, inputs: ReportInputs, progress: Progress | None = None) -> dict[str, Any]:
    """Evaluate and write the report; ``metrics.json`` comes last, so that a folder with it is complete.

    Args:
        out: Folder to write to.
        inputs: What to compare.
        progress: Where to report.

    Returns:
        What ``metrics.json`` holds.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").unlink(missing_ok=True)
    reference = inputs.reference
    first = reference.picture(reference.frames[0])
    sheet = ContactSheet(len(reference.frames))
    whom = (inputs.facts or {}).get("subject_sha256")
    tags = {"title": "UA-3DTalk side by side", "comment": mark_text(whom)}
    names = ("reference", *inputs.rows)
    notes = _UncertaintyNotes(inputs)
    maps = ErrorMaps()
    extremes = [Extremes(inputs.shown)] if inputs.shown in inputs.rows else []
    with SideBySide(out / VIDEO_NAME, names, (first.shape[1], first.shape[0]), inputs.audio, tags) as video:
        evaluation = evaluate_rows(
            reference,
            inputs.rows,
            inputs.make_detector,
            np.random.default_rng(inputs.seed),
            watchers=(sheet, video, notes, maps, *extremes),
            meters=inputs.meters,
            progress=progress,
        )
    for row, values in notes.values.items():
        evaluation = with_risk(evaluation, row, np.array(values, np.float64))
    meanings = REGIONS if reference.head_meaning is None else REGIONS | {"head": reference.head_meaning}
    metrics = metrics_dict(evaluation, inputs.facts or {}, inputs.seed, meanings)
    metrics["speed"] = inputs.speed
    sheet_jpeg = encode_jpeg(sheet.picture(evaluation.frames))
    pictures = {
        "Frames": ("image/jpeg", sheet_jpeg),
        "Mouth opening over time": ("image/png", mouth_curves_png(evaluation)),
        "Error over time": ("image/png", error_curves_png(evaluation)),
        MAPS_TITLE: ("image/jpeg", encode_jpeg(maps.picture())),
    }
    for found in extremes:
        if (picture := found.picture(evaluation.frames)) is not None:
            pictures[f"Worst and best frames of {found.row}"] = ("image/jpeg", encode_jpeg(picture))
    settings = metrics["settings"] | metrics["provenance"]
    page = render_page(evaluation, pictures, out / VIDEO_NAME, settings, meanings, inputs.speed)
    for name, data in {"index.html": page.encode(), "sheet.jpg": sheet_jpeg}.items():
        with atomic_path(out / name) as partial:
            partial.write_bytes(data)
    write_json(out / "metrics.json", metrics)
    return metrics


def metrics_dict(
    evaluation: Evaluation, facts: Mapping[str, Any], seed: int, regions: Mapping[str, str] = REGIONS
) -> dict[str, Any]:
    """Everything as JSON-serialisable values; what is undefined is None."""
    return {
        "schema": SCHEMA_VERSION,
        "rows": {name: _row_dict(row) for name, row in evaluation.rows.items()},
        "missed_real": evaluation.missed_real,
        "settings": {
            "given": dict(facts),
            "frames": {
                "first": evaluation.frames[0],
                "last": evaluation.frames[-1],
                "count": len(evaluation.frames),
                "width": evaluation.size[0],
                "height": evaluation.size[1],
                "scored": "as rendered, before any video coding",
            },
            "regions": dict(regions),
            "measures": {key: to_plain(definition) for key, definition in evaluation.definitions.items()},
            "head_erosion_px": erosion_px(evaluation.size[1]),
            "row_meanings": {name: ROW_MEANINGS[name] for name in evaluation.rows if name in ROW_MEANINGS},
            "landmarks": evaluation.detector,
            "psnr_cap_db": MAX_PSNR_DB,
            "ssim": f"{WINDOW}x{WINDOW} Gaussian, sigma 1.5, data range 1, windows inside the picture",
            "lag_frames": MAX_LAG_FRAMES,
            "intervals": f"95 %, moving-block bootstrap, {BLOCK_FRAMES} frames, {RESAMPLES} resamples",
            "seed": seed,
        },
        "provenance": provenance(),
        "curves": {
            "real_opening": _plain_curve(evaluation.real_opening),
            "real_width": _plain_curve(evaluation.real_width),
            **{name: _curves_dict(row) for name, row in evaluation.rows.items()},
        },
    }


class _UncertaintyNotes:
    """Asks for the uncertainty of every frame right after it was rendered."""

    def __init__(self, inputs: ReportInputs) -> None:
        self._ask = dict(inputs.uncertainty or {})
        self._frames = inputs.reference.frames
        self.values: dict[str, list[float]] = {name: [] for name in self._ask}

    def see(self, position: int, frames: Mapping[str, np.ndarray], regions: FrameRegions) -> None:
        for name, ask in self._ask.items():
            self.values[name].append(float(ask(self._frames[position])))


def _row_dict(row: RowResult) -> dict[str, Any]:
    return {
        "regions": to_plain(row.regions),
        "mouth_gain_db": row.mouth_gain_db,
        "lmd_px": to_plain(row.lmd_px),
        "lmd": to_plain(row.lmd),
        "opening": to_plain(row.opening),
        "width": to_plain(row.width),
        "missed": row.missed,
        "measures": {key: to_plain(measure) for key, measure in row.measures.items()},
        "risk": to_plain(row.risk),
    }


def _curves_dict(row: RowResult) -> dict[str, Any]:
    curves = row.curves
    return {
        "psnr_db": {name: _plain_curve(values) for name, values in curves.psnr_db.items()},
        "ssim": {name: _plain_curve(values) for name, values in curves.ssim.items()},
        "lip_distance_px": _plain_curve(curves.lip_distance_px),
        "opening": _plain_curve(curves.opening),
        "width": _plain_curve(curves.width),
    }


def _plain_curve(values: np.ndarray) -> list[float | None]:
    return [round(float(v), 5) if np.isfinite(v) else None for v in values]
