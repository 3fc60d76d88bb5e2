"""Position priors of the masks: shoulders stay level when the head tilts."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.tracking.alignment import HeadPlane
from ua3dtalk.tracking.position_priors import level_shoulders
from ua3dtalk.tracking.topology import CHIN, FOREHEAD_TOP


@pytest.mark.parametrize("degrees", [0.0, 35.0, -35.0])
def test_shoulders_stay_level(degrees: float) -> None:
    """A face 100 px high around (100, 80) of a picture 200 px wide; the head tilts about its middle."""
    face = np.zeros((468, 2))
    face[FOREHEAD_TOP], face[CHIN] = (150, 80), (150, 180)  # upright in the plane, 50 px of margin
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([150.0, 130.0]) - turn @ [100.0, 80.0]
    plane = HeadPlane(np.concatenate([turn, shift[:, None]], 1)[None], 300, 300, (200, 200))
    found = level_shoulders(plane, face, 0)
    left, right = found[130, 20], found[130, 180]  # beside the chin, below it
    if not degrees:
        assert found.max() < 1e-6
    else:
        low, high = (left, right) if degrees > 0 else (right, left)
        assert max(low, high) > 0.4 and min(low, high) < 0.1
    assert found[40].max() < 0.05 and found.min() >= 0 and found.max() <= 0.5
