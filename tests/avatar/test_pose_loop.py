"""The loop that an avatar moves in is one stretch of one video."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ua3dtalk.avatar.pose_loop import LONGEST_LOOP_FRAMES, calmest_stretch


@pytest.mark.parametrize("axis", ["y", "z"])
def test_the_calmest_stretch_of_one_video(axis: str) -> None:
    viewmats = np.tile(np.eye(4), (600, 1, 1))
    viewmats[:200, :3, :3] = Rotation.from_euler(axis, 0.3).as_matrix()  # turned away, or tilted, at first
    frames = calmest_stretch(viewmats, np.arange(600))
    assert len(frames) == LONGEST_LOOP_FRAMES and frames[0] >= 200 and (np.diff(frames) == 1).all()


def test_it_reaches_over_no_joint() -> None:
    viewmats, joints = np.tile(np.eye(4), (600, 1, 1)), (150, 380)
    train = np.array([i for i in range(600) if all(abs(i - joint) > 3 for joint in joints)])
    frames = calmest_stretch(viewmats, train, joints)
    assert frames[0] > 150 and frames[-1] < 380 and len(frames) > 200 and (np.diff(frames) == 1).all()
