"""Jitter: 1 for the same movement, more for a tremble, blind to steady movement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ua3dtalk.evaluation.jitter import HEAD, LIPS_RATIO, JitterMeter, second_difference
from ua3dtalk.evaluation.landmark_points import LIPS
from ua3dtalk.evaluation.measure import Moment
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.tracking.topology import mean_face

PICTURE = np.zeros((8, 8, 3), np.uint8)


def faces(count: int, rng: np.random.Generator, tremble_px: float = 0.0) -> list[np.ndarray]:
    """A face of 1000 px per metre that nods and speaks."""
    points = np.zeros((478, 3))
    points[:468] = mean_face().vertices * [1000, -1000, 1000] + [128, 128, 0]
    out = []
    for t in range(count):
        moved = points + np.array([3 * np.sin(t / 3), 0, 0])
        moved[list(LIPS)[::2], 1] += np.sin(t / 2)  # every other point: lips that part
        out.append((moved + rng.normal(0, tremble_px, (1, 3)) if tremble_px else moved).astype(np.float32))
    return out


def ratios(rendered: list[Any], real: list[Any]) -> dict[str, float | None]:
    meter = JitterMeter()
    for i, (a, b) in enumerate(zip(rendered, real, strict=True)):
        regions = frame_regions(np.zeros((8, 8), np.uint8), None)
        meter.see(Moment(position=i, picture=PICTURE, real=PICTURE, landmarks=a, real_landmarks=b, regions=regions))
    return {key: measure.value for key, measure in meter.results().items()}


def test_second_difference_of_steady_movement_is_zero() -> None:
    still = np.zeros((5, 2))
    assert second_difference(np.stack([still, still + 1.5, still + 3.0])) == 0
    assert second_difference(np.stack([still, still + 1.0, still])) == 4


def test_same_movement_is_one_and_a_tremble_is_more(rng: np.random.Generator) -> None:
    real = faces(40, rng)
    same = ratios(real, real)
    assert same[HEAD.key] == pytest.approx(1) and same[LIPS_RATIO.key] == pytest.approx(1)
    slight, strong = ratios(faces(40, rng, 0.3), real), ratios(faces(40, rng, 1.0), real)
    assert slight[HEAD.key] > 1.5 and strong[HEAD.key] > 2 * slight[HEAD.key]
    assert slight[LIPS_RATIO.key] == pytest.approx(1, abs=1e-3), "the lips about their centre do not"


def test_frames_in_the_wrong_order_are_seen(rng: np.random.Generator) -> None:
    real = faces(40, rng)
    swapped = real.copy()
    swapped[20], swapped[21] = swapped[21], swapped[20]
    assert ratios(swapped, real)[HEAD.key] > 1.1


def test_a_lost_face_breaks_the_chain(rng: np.random.Generator) -> None:
    real = faces(6, rng)
    lost = [real[0], real[1], None, real[3], real[4], real[5]]
    meter = JitterMeter()
    for i, (a, b) in enumerate(zip(lost, real, strict=True)):
        regions = frame_regions(np.zeros((8, 8), np.uint8), None)
        meter.see(Moment(position=i, picture=PICTURE, real=PICTURE, landmarks=a, real_landmarks=b, regions=regions))
    assert meter.results()[HEAD.key].details["triples"] == 1
    assert all(value is None for value in ratios([None] * 4, real[:4]).values())
