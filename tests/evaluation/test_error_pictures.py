"""Pictures of errors show the error: where it is, which frames are worst."""

from __future__ import annotations

from typing import Any

import numpy as np

from ua3dtalk.evaluation.error_pictures import FULL_HEAT, ErrorMaps, Extremes, absolute_error, heat
from ua3dtalk.evaluation.regions import frame_regions

GREY = np.full((64, 64, 3), 100, np.uint8)


def test_heat_rises_with_the_error_and_saturates() -> None:
    errors = np.array([[0.0, FULL_HEAT / 2, FULL_HEAT, 1.0]], np.float32)
    colours = heat(errors)[0].astype(int).sum(-1)
    assert colours[0] < 15 and colours[0] < colours[1] < colours[2] == colours[3]
    assert absolute_error(GREY + np.uint8(51), GREY).max() == np.float32(0.2)


def test_map_is_bright_where_a_row_errs() -> None:
    maps = ErrorMaps()
    wrong = GREY.copy()
    wrong[40:50, 10:20] = 160
    regions = frame_regions(np.zeros((64, 64), np.uint8), None)
    for position in range(4):
        maps.see(position, {"reference": GREY, "driven": wrong, "static": GREY}, regions)
    picture = maps.picture()
    driven, static = picture[-64:, :64].astype(int).sum(-1), picture[-64:, 64:].astype(int).sum(-1)
    assert driven[42:48, 12:18].min() > 300 and driven[:30].max() < 30 and static.max() < 30


def test_extremes_are_the_worst_and_the_best_frames(face: Any) -> None:
    extremes = Extremes("driven")
    regions = frame_regions(face.parsing(), None)
    real = face.draw(5.0)
    for position in range(12):
        error = (position * 5) % 12  # every value once
        shown = (real.astype(int) + error).clip(0, 255).astype(np.uint8)
        extremes.see(position, {"reference": real, "driven": shown}, regions)
    worst = sorted(position for _, position, *_ in extremes._worst)
    best = sorted(position for _, position, *_ in extremes._best)
    assert {(p * 5) % 12 for p in worst} == {9, 10, 11}
    assert {(p * 5) % 12 for p in best} == {0, 1, 2}
    picture = extremes.picture(range(100, 112))
    assert picture is not None and picture.shape == (22 + 3 * 96, 6 * 96, 3)
    outside = frame_regions(np.zeros((96, 96), np.uint8), None)
    empty = Extremes("driven")
    empty.see(0, {"reference": real, "driven": real}, outside)
    assert empty.picture([0]) is None, "no head, no score"
