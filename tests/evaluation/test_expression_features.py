"""Expression without camera: what must not change it, and what must."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ua3dtalk.evaluation.expression_features import (
    EXPRESSION_NAMES,
    NUM_EXPRESSION,
    expression_vector,
)
from ua3dtalk.tracking.normalised import normalised_points
from ua3dtalk.tracking.topology import mean_face, rigid_vertices

EYE_DISTANCE = float(np.linalg.norm(mean_face().vertices[33] - mean_face().vertices[263]))


def face(opening_m: float = 0.0, brow_m: float = 0.0) -> np.ndarray:
    """The mean face with pupils, its lower lip lowered and its brows raised, metres."""
    vertices = mean_face().vertices.copy()
    vertices[[14, 17, 84, 87, 178, 314, 317, 402], 1] -= opening_m
    vertices[[55, 107, 285, 336], 1] += brow_m
    pupils = np.repeat([vertices[[159, 145]].mean(0), vertices[[386, 374]].mean(0)], 5, axis=0)
    return np.concatenate([vertices, pupils])


def picture(points: np.ndarray, angles_deg: tuple[float, float, float], scale: float, shift: tuple) -> np.ndarray:
    """Landmarks as the detector gives them: turned head, far camera, pixels, y down, z away."""
    turned = Rotation.from_euler("xyz", angles_deg, degrees=True).apply(points)
    return (turned * [1, -1, -1] * scale + [*shift, 5.0]).astype(np.float32)


VIEWS = [((0, 0, 0), 1000.0, (0, 0)), ((20, -35, 10), 3300.0, (400, 120)), ((-15, 40, -25), 700.0, (-30, 900))]


@pytest.mark.parametrize(("angles", "scale", "shift"), VIEWS)
def test_camera_and_head_pose_go_out(angles: tuple, scale: float, shift: tuple) -> None:
    wanted = expression_vector(face(0.008, 0.004))
    got = normalised_points(picture(face(0.008, 0.004), angles, scale, shift))
    np.testing.assert_allclose(got, face(0.008, 0.004), atol=1e-6)  # measured 1e-7 m: float32 pixels
    np.testing.assert_allclose(expression_vector(got), wanted, atol=1e-5)


def test_mean_face_stays_where_it_is() -> None:
    vector = expression_vector(normalised_points(picture(face(), (0, 0, 0), 1000.0, (0, 0))))
    assert vector.shape == (NUM_EXPRESSION,) and len(set(EXPRESSION_NAMES)) == NUM_EXPRESSION == 20
    np.testing.assert_allclose(vector[:12], 0, atol=1e-5)


def test_opening_and_brows_are_where_their_names_say() -> None:
    rest, opened, raised = expression_vector(face()), expression_vector(face(0.01)), expression_vector(face(0, 0.005))
    named = dict(zip(EXPRESSION_NAMES, zip(rest, opened, raised, strict=True), strict=True))
    gap = float(np.linalg.norm(face(0.01)[13] - face(0.01)[14]))
    assert named["opening"][1] == pytest.approx(gap / EYE_DISTANCE, abs=1e-5)
    assert np.abs(opened[:12] - rest[:12]).max() > 0.03 and np.allclose(opened[14:], rest[14:])
    assert named["AU01"][2] - named["AU01"][0] == pytest.approx(0.005 / EYE_DISTANCE, abs=1e-5)
    assert np.allclose(raised[:14], rest[:14])


def test_lips_do_not_move_the_alignment() -> None:
    seen = normalised_points(picture(face(0.02), (10, 20, 0), 900.0, (50, 60)))
    np.testing.assert_allclose(seen[rigid_vertices()], mean_face().vertices[rigid_vertices()], atol=1e-6)


def test_a_mirrored_head_is_not_mirrored_back() -> None:
    """A reflection is no head pose: the fit keeps to rotations."""
    smirk = face()
    smirk[61, 1] += 0.01
    mirrored = normalised_points(picture(smirk * [-1, 1, 1], (0, 0, 0), 1000.0, (0, 0)))
    assert np.abs(mirrored - smirk).max() > 0.01


def test_no_face_is_an_error() -> None:
    with pytest.raises(ValueError, match="span a face"):
        normalised_points(np.zeros((478, 3), np.float32))
    with pytest.raises(ValueError, match="not finite"):
        normalised_points(np.full((478, 3), np.nan, np.float32))
