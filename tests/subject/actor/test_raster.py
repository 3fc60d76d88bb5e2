"""The triangle rasterizer against a plain numpy one, and the surfaces it draws."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.subject.actor.expressions import EXPRESSIONS, expression_basis
from ua3dtalk.subject.actor.face import FaceSurface, build_face
from ua3dtalk.subject.actor.generate import mean_face
from ua3dtalk.subject.actor.raster import rasterize
from ua3dtalk.subject.actor.skin import EYE_RADIUS_M, build_skin


def _draw(screen: np.ndarray, triangles: np.ndarray, cutout: np.ndarray, size: int):
    nearness, owner = np.empty((size, size), np.float32), np.empty((size, size), np.int32)
    weights = np.empty((size, size, 2), np.float32)
    rasterize(screen, triangles, cutout, np.zeros((len(screen), 2), np.float32), nearness, owner, weights)
    return nearness, owner, weights


def _reference(screen: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Depth by solving each triangle's plane equation of 1/z in float64."""
    y, x = np.mgrid[0:size, 0:size] + 0.5
    best, owner = np.zeros((size, size)), np.full((size, size), -1)
    for number, corners in enumerate(screen[triangles].astype(np.float64)):
        matrix = np.column_stack([corners[:, :2], np.ones(3)])
        share = np.stack([x.ravel(), y.ravel(), np.ones(size * size)], 1) @ np.linalg.inv(matrix)
        inverse = (share @ (1 / corners[:, 2])).reshape(size, size)
        inside = (share >= 0).all(1).reshape(size, size) & (inverse > best)
        best, owner = np.where(inside, inverse, best), np.where(inside, number, owner)
    return best, owner


def test_nearest_triangles_and_depths_agree_with_plain_numpy() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(-5, 45, (60, 3, 2))
    screen = (
        np.concatenate([corners, generator.uniform(0.5, 2.0, (60, 3, 1))], axis=2).reshape(-1, 3).astype(np.float32)
    )
    triangles = np.arange(180, dtype=np.int32).reshape(60, 3)
    nearness, owner, weights = _draw(screen, triangles, np.full(60, -2, np.int32), 40)
    expected, expected_owner = _reference(screen, triangles, 40)
    same = owner == expected_owner
    assert same.mean() > 0.995  # pixels on an edge may fall either way
    assert np.abs(nearness - expected)[same].max() < 1e-4  # measured 2e-6
    y, x = np.nonzero(same & (owner >= 0))
    share = weights[y, x].astype(np.float64)
    depths = screen[triangles[owner[y, x]], 2]
    mixed = (1 - share.sum(1)) * depths[:, 0] + share[:, 0] * depths[:, 1] + share[:, 1] * depths[:, 2]
    assert np.abs(mixed * nearness[y, x] - 1).max() < 1e-3  # weights are perspective-correct


def test_backs_of_solid_triangles_are_not_drawn() -> None:
    screen = np.array([[2, 2, 1], [18, 2, 1], [2, 18, 1]], np.float32)
    front, back = np.array([[0, 2, 1]], np.int32), np.array([[0, 1, 2]], np.int32)
    assert (_draw(screen, front, np.array([-1], np.int32), 20)[1] == 0).sum() > 100
    assert (_draw(screen, back, np.array([-1], np.int32), 20)[1] == 0).sum() == 0


@pytest.fixture(scope="module")
def face() -> FaceSurface:
    return build_face(mean_face())


def test_the_face_passes_through_the_mean_face_with_closed_lips(face: FaceSurface) -> None:
    away = np.linalg.norm(face.vertices[:468] - mean_face(), axis=1)
    far = [10, 151, 33, 263, 6, 70, 300, 234, 454]
    assert away[far].max() < 1e-5  # measured 6e-8 m; closing the mouth moves only what is near it
    assert np.linalg.norm(face.vertices[13] - face.vertices[14]) < 5e-4
    mirrored = face.vertices[:468] * [-1, 1, 1]
    assert np.abs(mirrored[[263, 291, 454]] - face.vertices[[33, 61, 234]]).max() < 1e-3


def test_expressions_do_what_their_names_say(face: FaceSurface) -> None:
    basis = dict(zip(EXPRESSIONS, expression_basis(face), strict=True))
    assert basis["jaw_open"][14, 1] < -0.010 and abs(basis["jaw_open"][13, 1]) < 1e-3
    assert basis["jaw_open"][152, 1] < -0.010 and np.abs(basis["jaw_open"][10]).max() < 1e-6
    assert basis["smile"][61, 1] > 0.004 and basis["smile"][61, 0] < -0.003
    assert basis["frown"][291, 1] < -0.004
    assert basis["lip_pucker"][61, 0] > 0.004 and basis["lip_pucker"][13, 2] > 0.004
    assert basis["brow_inner_up"][107, 1] > 0.004 and basis["brow_lower"][336, 1] < -0.004


def test_closed_lids_meet_in_front_of_the_eyeball(face: FaceSurface) -> None:
    skin = build_skin(face)
    points = skin.vertices + skin.basis[EXPRESSIONS.index("blink")]
    skin.push_lids(points)
    assert np.linalg.norm(points[159] - points[145]) < 1e-3  # measured 0.1 mm
    out = np.linalg.norm(points[:, None] - skin.eye_centres, axis=2).min(1)
    assert out[skin.near_eyes].min() >= EYE_RADIUS_M
