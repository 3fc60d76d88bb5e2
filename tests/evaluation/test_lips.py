"""Lip metrics: definition, and inputs that are subtly wrong."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.evaluation.landmark_points import INNER_LIPS, LIPS, OUTER_LIPS
from ua3dtalk.evaluation.lip_position import lip_offset_px
from ua3dtalk.evaluation.lips import correlation, curve_agreement, lip_distance_px, lip_shape


def points() -> np.ndarray:
    found = np.random.default_rng(0).uniform(0, 200, (478, 3)).astype(np.float32)
    found[[33, 263, 13, 14, 61, 291], :2] = [[50, 50], [150, 50], [100, 120], [100, 135], [70, 128], [130, 128]]
    return found


def test_points_are_the_forty_lip_points() -> None:
    connections = pytest.importorskip("mediapipe.python.solutions.face_mesh_connections")
    assert set(LIPS) == {i for edge in connections.FACEMESH_LIPS for i in edge}
    assert len(OUTER_LIPS) == len(INNER_LIPS) == 20 and not set(OUTER_LIPS) & set(INNER_LIPS)


def test_shape_by_definition() -> None:
    shape = lip_shape(points())
    assert shape.interocular == pytest.approx(100)
    assert shape.opening == pytest.approx(0.15) and shape.width == pytest.approx(0.60)


def test_distance_ignores_place_but_not_shape() -> None:
    real = lip_shape(points())
    moved = points()
    moved[:, :2] += (7, -3)
    assert lip_distance_px(lip_shape(moved), real) == pytest.approx(0, abs=1e-4)
    wide = points()
    wide[list(LIPS), 0] *= 1.1
    expected = np.abs(0.1 * (real.points[:, 0] - real.points[:, 0].mean())).mean()
    assert lip_distance_px(lip_shape(wide), real) == pytest.approx(expected, abs=1e-3)
    swapped = points()
    swapped[list(LIPS)] = swapped[list(reversed(LIPS))]
    assert lip_distance_px(lip_shape(swapped), real) > 10


def test_distance_without_centring_is_the_shift() -> None:
    real, moved = lip_shape(points()), points()
    assert lip_offset_px(real, real) == 0
    moved[:, :2] += (3, -4)
    assert lip_offset_px(lip_shape(moved), real) == pytest.approx(5, abs=1e-4)
    moved = points()
    moved[list(LIPS)[:10], 0] += 8  # a quarter of the points
    assert lip_offset_px(lip_shape(moved), real) == pytest.approx(2, abs=1e-4)


def curve(n: int = 120) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.convolve(rng.normal(size=n + 8), np.hanning(9), "valid")


def test_agreement_of_a_curve_with_itself() -> None:
    found = curve_agreement(curve(), curve())
    assert found.correlation == pytest.approx(1) and found.amplitude == pytest.approx(1)
    assert found.lag_frames == 0 and found.frames == 120


@pytest.mark.parametrize("lag", [-7, -1, 1, 3, 10])
def test_lag_is_found_and_positive_means_late(lag: int) -> None:
    long = curve(150)
    real, rendered = long[20:130], long[20 - lag : 130 - lag]  # rendered[t] = real[t − lag]
    found = curve_agreement(rendered, real)
    assert found.lag_frames == lag and found.correlation_at_lag == pytest.approx(1)
    assert found.correlation < 0.99


def test_half_the_movement_is_half_the_amplitude() -> None:
    found = curve_agreement(0.5 * curve() + 3, curve())
    assert found.amplitude == pytest.approx(0.5) and found.correlation == pytest.approx(1)


def test_missing_faces_are_left_out() -> None:
    rendered = curve()
    rendered[10:20] = np.nan
    found = curve_agreement(rendered, curve())
    assert (
        found.frames == 110 and found.correlation == pytest.approx(1) and found.amplitude == pytest.approx(1, rel=0.1)
    )


def test_stillness_and_nothing_have_no_correlation() -> None:
    assert curve_agreement(np.ones(50), curve(50)).correlation is None
    assert curve_agreement(np.ones(50), curve(50)).amplitude == 0
    nothing = curve_agreement(np.full(50, np.nan), curve(50))
    assert nothing.correlation is nothing.amplitude is nothing.lag_frames is None and nothing.frames == 0
    assert curve_agreement(curve(2), curve(2)).correlation is None
    assert correlation(curve(50), -curve(50)) == pytest.approx(-1)
