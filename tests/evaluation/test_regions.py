"""Regions: exact pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.evaluation.landmark_points import OUTER_LIPS
from ua3dtalk.evaluation.regions import erosion_px, frame_regions, mouth_box
from ua3dtalk.subject.labels import HEAD_LABELS, Label


def landmarks(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    points = np.zeros((478, 3), np.float32)
    points[list(OUTER_LIPS)] = [(x0 + x1) / 2, (y0 + y1) / 2, 0]
    points[OUTER_LIPS[0], :2], points[OUTER_LIPS[5], :2] = (x0, y0), (x1, y1)
    return points


def test_box_grows_as_defined() -> None:
    # 40 × 20: ± (8 + 2, 7 + 2).
    assert mouth_box(landmarks(100.0, 150.0, 140.0, 170.0), (256, 256)) == (90, 141, 151, 180)


@pytest.mark.parametrize("at", [(0.0, 0.0), (255.0, 255.0), (-50.0, 300.0), (128.0, 128.0)])
def test_a_tiny_or_outside_mouth_still_has_a_box(at: tuple[float, float]) -> None:
    x0, y0, x1, y1 = mouth_box(landmarks(*at, at[0] + 1, at[1] + 0.5), (256, 256))
    assert 0 <= x0 < x1 <= 256 and 0 <= y0 < y1 <= 256


@pytest.mark.parametrize(("height", "px"), [(256, 3), (512, 6), (1024, 12), (40, 1)])
def test_erosion_is_in_proportion(height: int, px: int) -> None:
    assert erosion_px(height) == px


def test_head_is_what_parsing_calls_head() -> None:
    parsing = np.zeros((512, 512), np.uint8)
    parsing[100:300, 100:300] = Label.SKIN
    parsing[300:400, 100:300] = Label.NECK
    parsing[400:] = Label.TORSO
    parsing[150:160, 150:160] = Label.EYES
    regions = frame_regions(parsing, None)
    assert regions.head.sum() == 200 * 200
    assert regions.head_eroded.sum() == (200 - 12) ** 2  # the frame of 6 px is gone, the eyes do not cut holes
    assert regions.full.all() and regions.mouth is None
    assert not np.isin(parsing[~regions.head], HEAD_LABELS).any()


def test_the_picture_edge_is_no_outline() -> None:
    parsing = np.full((512, 512), Label.HAIR, np.uint8)
    assert frame_regions(parsing, None).head_eroded.all()
