"""Action-unit error: zero for the same face, local to what moved, and it sees frames out of order."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.evaluation.action_units import LOWER_ERROR, UPPER_ERROR, ActionUnitMeter, signals_of, unit_errors
from ua3dtalk.evaluation.measure import Moment
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.tracking.normalised import normalised_points
from ua3dtalk.tracking.topology import mean_face

PICTURE = np.zeros((8, 8, 3), np.uint8)
LOWER_LIP = (14, 17, 84, 87, 88, 91, 95, 146, 178, 181, 314, 317, 318, 321, 324, 375, 402, 405)


def faces(count: int = 50) -> list[np.ndarray]:
    """A face that speaks and blinks, 1000 px per metre."""
    out = []
    for t in range(count):
        points = np.zeros((478, 3))
        points[:468] = mean_face().vertices * [1000, -1000, -1000] + [128, 128, 0]
        points[list(LOWER_LIP), 1] += 4 + 4 * np.sin(t / 2.3)
        points[[159, 158, 160, 386, 385, 387], 1] += 4 * (t % 20 == 5)
        out.append(points.astype(np.float32))
    return out


def errors(rendered: list[np.ndarray], real: list[np.ndarray]) -> tuple[float | None, float | None]:
    meter = ActionUnitMeter()
    regions = frame_regions(np.zeros((8, 8), np.uint8), None)
    for i, (a, b) in enumerate(zip(rendered, real, strict=True)):
        meter.see(Moment(position=i, picture=PICTURE, real=PICTURE, landmarks=a, real_landmarks=b, regions=regions))
    results = meter.results()
    return results[UPPER_ERROR.key].value, results[LOWER_ERROR.key].value


def test_same_face_has_none_whatever_its_pose() -> None:
    real = faces()
    angle = np.deg2rad(12)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = [(face @ (0.7 * turn) + [20, 5, 0]).astype(np.float32) for face in real]
    assert errors(real, real) == (0, 0)
    assert errors(turned, real) == pytest.approx((0, 0), abs=1e-6)


def test_error_lies_where_the_face_differs() -> None:
    real = faces()
    no_blink = [face.copy() for face in real]
    for i, face in enumerate(no_blink):
        if i % 20 == 5:
            face[[159, 158, 160, 386, 385, 387], 1] -= 4
    upper, lower = errors(no_blink, real)
    assert upper is not None and upper > 0.01 and lower == pytest.approx(0, abs=1e-6)
    upper, lower = errors([real[0]] * len(real), real)
    assert lower is not None and lower > 0.5


def test_a_frame_late_or_swapped_is_seen() -> None:
    real = faces()
    late = [real[0], *real[:-1]]
    swapped = [*real[:20], real[21], real[20], *real[22:]]
    assert errors(late, real)[1] > 0.1  # type: ignore[operator]
    assert 0 < errors(swapped, real)[1] < errors(late, real)[1]  # type: ignore[operator]


def test_unit_errors_are_in_units_of_the_real_range() -> None:
    truth = {"AU25": np.linspace(0, 1, 201)}
    found = unit_errors({"AU25": truth["AU25"] + 0.475}, truth)
    assert found["AU25"] == pytest.approx(1)  # median .5 to the 97.5th percentile .975
    still = {"AU25": np.zeros(9)}
    assert unit_errors({"AU25": np.full(9, 0.005)}, still)["AU25"] == pytest.approx(1), "a still unit has a floor"


def test_no_face_no_number() -> None:
    assert ActionUnitMeter().results()[UPPER_ERROR.key].value is None
    assert len(signals_of(normalised_points(faces(1)[0]))) == 11
