from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.viewer.stage import BACKGROUND_RGB, Stage, View

SIZE = (64, 48)
INTRINSICS = np.array([[90.0, 0, 30], [0, 90.0, 25], [0, 0, 1]])


@pytest.fixture
def viewmats() -> np.ndarray:
    poses = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (5, 1, 1))
    poses[:, :3, 3] = [0.01, 0.02, 0.6]
    poses[4, 0, 3] = 0.05
    return poses


@pytest.fixture
def stage(viewmats: np.ndarray) -> Stage:
    return Stage(viewmats, INTRINSICS, SIZE, back_m=0.1)


def test_the_source_camera_sees_every_frame_as_it_was(stage: Stage, viewmats: np.ndarray) -> None:
    for viewmat in viewmats:
        np.testing.assert_allclose(stage.source.viewmat() @ stage.world_from_head(viewmat), viewmat, atol=1e-12)


def test_the_world_is_centred_on_the_head_and_upright(stage: Stage, viewmats: np.ndarray) -> None:
    np.testing.assert_allclose(stage.world_from_head(viewmats[0]), np.eye(4), atol=1e-12)
    np.testing.assert_allclose(stage.source.rotation[:, 1], [0, -1, 0])  # the picture's down
    np.testing.assert_allclose(stage.look_at[2], 0, atol=1e-12)


def test_the_plane_fills_the_picture_behind_the_head(stage: Stage) -> None:
    centre, width, height = stage.plane()
    for x, y, pixel in ((-1, 1, (0, 0)), (1, -1, SIZE)):
        corner = centre + np.array([x * width / 2, y * height / 2, 0])
        seen = INTRINSICS @ (stage.source.viewmat() @ np.append(corner, 1))[:3]
        np.testing.assert_allclose(seen[:2] / seen[2], pixel, atol=1e-9)
        assert seen[2] == pytest.approx(0.7)


def test_the_picture_behind_is_unchanged_in_the_source_camera(rng: np.random.Generator) -> None:
    centred = np.array([[90.0, 0, 32], [0, 90.0, 24], [0, 0, 1]])
    pose = np.diag([1.0, -1.0, -1.0, 1.0])[None].copy()
    pose[0, 2, 3] = 0.6
    stage = Stage(pose, centred, SIZE, back_m=0.1)
    picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    exact = View(stage.source.rotation, stage.source.position, 2 * np.arctan(24 / 90))
    np.testing.assert_allclose(stage.behind(picture, exact, *SIZE).astype(int), picture, atol=1)


def test_nothing_is_behind_when_seen_from_behind(stage: Stage) -> None:
    picture = np.full((48, 64, 3), 200, np.uint8)
    back = View(np.diag([-1.0, -1.0, 1.0]), np.array([0.0, 0.0, -1.0]), 0.5)
    assert (stage.behind(picture, back, *SIZE) == BACKGROUND_RGB).all()


def test_a_narrow_window_still_shows_the_whole_picture(stage: Stage) -> None:
    assert stage.fov_to_fit(2.0) == stage.source.fov_rad
    narrow = stage.fov_to_fit(0.5)
    width = 2 * np.tan(narrow / 2) * 0.5
    assert width >= SIZE[0] / INTRINSICS[0, 0]
