"""Faults that a person would hardly see, planted into a real clip: each metric must see those that are its business."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.evaluation.action_units import ActionUnitMeter
from ua3dtalk.evaluation.expression_distance import ExpressionDistanceMeter
from ua3dtalk.evaluation.jitter import JitterMeter
from ua3dtalk.evaluation.lip_position import LipPositionMeter
from ua3dtalk.evaluation.ms_ssim import MsSsimMeter
from ua3dtalk.evaluation.protocol import Reference, evaluate_rows
from ua3dtalk.evaluation.results import RowResult
from ua3dtalk.evaluation.seam import SeamMeter
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks

FRAMES = range(2, 52)
METERS = (MsSsimMeter, LipPositionMeter, ActionUnitMeter, ExpressionDistanceMeter, SeamMeter, JitterMeter)


@pytest.fixture(scope="module")
def rows(shared: Path) -> dict[str, RowResult]:
    """Two seconds of a real speaker, itself and with one fault each."""
    path = shared / "data" / "clips" / "lieu_60s_256.mp4"
    frames = list(VideoReader(path, start_s=20.0, max_seconds=2.2))
    head = np.full(frames[0].shape[:2], Label.SKIN, np.uint8)

    def swapped(i: int) -> np.ndarray:
        return frames[i + 1 if i % 2 == 0 else i - 1]

    evaluation = evaluate_rows(
        Reference(frames=FRAMES, picture=lambda i: frames[i], parsing=lambda *_: head),
        {
            "same": lambda i: frames[i],
            "swapped": swapped,
            "late": lambda i: frames[i - 1],
            "channels": lambda i: np.ascontiguousarray(frames[i][..., ::-1]),
            "cropped": lambda i: np.ascontiguousarray(np.roll(frames[i], 1, axis=1)),
            "dimmed": lambda i: (frames[i] * 0.98).astype(np.uint8),
        },
        FaceMeshLandmarks,
        np.random.default_rng(0),
        meters=lambda row: [make() for make in METERS],
    )
    return evaluation.rows


def psnr(row: RowResult) -> float:
    return -(row.regions["head"].psnr_db.mean or 0)


def ssim(row: RowResult) -> float:
    return -(row.regions["mouth"].ssim.mean or 0)


def lip_distance(row: RowResult) -> float:
    return row.lmd.mean or 0


def opening(row: RowResult) -> float:
    return -(row.opening.correlation or 0)


def lag(row: RowResult) -> float:
    return abs(row.opening.lag_frames or 0)


def measure(key: str) -> Callable[[RowResult], float]:
    sign = -1 if key == "ms_ssim" else 1
    return lambda row: sign * (row.measures[key].value or 0)


@pytest.mark.parametrize(
    ("error", "sees"),
    [
        (psnr, ("swapped", "late", "channels", "cropped", "dimmed")),
        (ssim, ("swapped", "late", "channels", "cropped")),
        (measure("ms_ssim"), ("swapped", "late", "channels", "cropped")),
        (lip_distance, ("swapped", "late")),
        (measure("lmd_uncentred_px"), ("swapped", "late", "cropped")),
        (opening, ("swapped", "late")),
        (lag, ("late",)),
        (measure("aue_lower"), ("swapped", "late")),
        (measure("aue_upper"), ("swapped", "late")),
        (measure("seam_flicker"), ("swapped",)),
        (measure("jitter_head"), ("swapped",)),
        (measure("jitter_lips"), ("swapped",)),
    ],
    ids=[
        "psnr",
        "ssim",
        "ms-ssim",
        "lmd",
        "lmd-place",
        "opening",
        "lag",
        "aue-lower",
        "aue-upper",
        "seam",
        "jitter",
        "lip-jitter",
    ],
)
def test_sees(rows: dict[str, RowResult], error: Callable[[RowResult], float], sees: tuple[str, ...]) -> None:
    for fault in sees:
        assert error(rows[fault]) > error(rows["same"]) + 1e-3, fault


def test_the_same_video_scores_perfectly(rows: dict[str, RowResult]) -> None:
    same = rows["same"]
    assert psnr(same) == -100 and ssim(same) == pytest.approx(-1)
    assert same.lmd_px.mean == 0 and same.opening.correlation == pytest.approx(1) and same.opening.lag_frames == 0
    expected = {"ms_ssim": 1, "aue_lower": 0, "aue_upper": 0, "e_fid": 0, "seam_flicker": 1, "jitter_head": 1}
    for key, value in expected.items():
        assert same.measures[key].value == pytest.approx(value, abs=1e-4), key


def test_what_is_not_their_business(rows: dict[str, RowResult]) -> None:
    """A metric that reacts to what it should not is as wrong: the order of frames is nothing to a distribution."""
    e_fid = rows["swapped"].measures["e_fid"]  # not zero: the detector follows the face from frame to frame
    assert e_fid.value < e_fid.details["floor"] / 5  # type: ignore[operator]
    assert rows["late"].measures["jitter_head"].value == pytest.approx(1, abs=0.1)
    assert rows["cropped"].measures["aue_lower"].value < rows["late"].measures["aue_lower"].value  # type: ignore[operator]
