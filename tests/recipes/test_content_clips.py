"""Clips to train the content prior on."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.recipes.content_clips import clip_from_landmarks
from ua3dtalk.tracking.topology import mean_face


def _faces(count: int) -> np.ndarray:
    """Landmarks of the mean face, pixels, turned and moved from frame to frame; the jaw drops in the second half."""
    vertices = np.concatenate([mean_face().vertices, np.zeros((10, 3))])
    out = []
    for i in range(count):
        points = vertices.copy()
        points[[14, 17], 1] -= 0.01 * (i >= count // 2)
        angle = 0.02 * i
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        out.append(1000 * points @ turn.T * [1, -1, -1] + [100 + i, 100, 0])
    return np.stack(out)


def test_the_head_goes_out_and_the_mouth_stays() -> None:
    faces = _faces(20)
    faces[3] = np.nan
    clip = clip_from_landmarks("a", "anna", faces, np.zeros(12800))
    assert clip.speaker == "anna" and clip.shapes.shape == (20, 82)
    np.testing.assert_allclose(clip.shapes[:10], np.tile(clip.shapes[0], (10, 1)), atol=1e-4)  # frame 3 is bridged
    assert clip.shapes[15, 80] > clip.shapes[5, 80] + 0.05


def test_a_clip_without_a_face_is_named() -> None:
    faces = _faces(20)
    faces[:5] = np.nan
    with pytest.raises(UserError, match="gone shows a face in 15 of 20"):
        clip_from_landmarks("gone", "x", faces, np.zeros(12800))
