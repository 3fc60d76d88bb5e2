"""Head movement: no jump for any length, still, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ua3dtalk.core.errors import UserError
from ua3dtalk.synthesis.pose import EASE_FRAMES, file_path, interpolate_poses, ping_pong, source_path, still_path


def swing(length: int) -> np.ndarray:
    """A head that turns and nods, one metre away."""
    t = np.arange(length)
    poses = np.tile(np.eye(4), (length, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("yx", np.stack([0.3 * np.sin(t / 20), 0.1 * np.cos(t / 9)], 1)).as_matrix()
    poses[:, :3, 3] = np.stack([0.01 * np.sin(t / 15), 0 * t, 1 + 0 * t], 1)
    return poses


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 400), num_frames=st.integers(1, 3000))
def test_ping_pong_never_jumps(length: int, num_frames: int) -> None:
    position = ping_pong(num_frames, length)
    assert position.min() >= 0 and position.max() <= length - 1
    speed = np.diff(position)
    assert (np.abs(speed) <= 1 + 1e-9).all()
    if length > 2 * EASE_FRAMES:
        # The speed changes by 1 within 2·EASE_FRAMES frames at most: 1/24 per frame.
        assert (np.abs(np.diff(speed)) <= 1 / (2 * EASE_FRAMES) + 1e-9).all()


def test_ping_pong_reaches_both_ends_and_comes_back() -> None:
    position = ping_pong(1000, 101)
    assert position[0] == 0
    assert position.max() == pytest.approx(100, abs=0.03)
    period = 2 * (100 + 2 * EASE_FRAMES)
    assert np.allclose(position[:period], position[period : 2 * period])
    assert np.abs(np.diff(position)).max() == pytest.approx(1, abs=1e-9)


def test_interpolation_is_exact_at_frames_and_rigid_between() -> None:
    poses = swing(40)
    phase = np.linspace(0, 39, 400)
    between = interpolate_poses(poses, phase)
    rotations = between[:, :3, :3]
    assert np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
    assert np.abs(interpolate_poses(poses, np.arange(40.0)) - poses).max() < 1e-12
    middle = interpolate_poses(poses, np.array([7.5]))[0]
    steps = [Rotation.from_matrix(a[:3, :3]) for a in (poses[7], middle, poses[8])]
    assert (steps[1] * steps[0].inv()).magnitude() == pytest.approx((steps[2] * steps[1].inv()).magnitude())


@pytest.mark.parametrize("length", [1, 2, 3, 30, 250])
def test_source_has_no_jump_and_torso_belongs_to_pose(length: int) -> None:
    poses = swing(length)
    path = source_path(poses, 1500)
    largest = np.abs(np.diff(poses, axis=0)).max() if length > 1 else 0.0
    assert np.abs(np.diff(path.viewmats, axis=0)).max() <= largest * 1.001 + 1e-12
    assert (np.abs(path.torso - path.phase) <= 0.5 + 1e-9).all()
    assert path.torso.min() >= 0 and path.torso.max() < length


def test_still_holds_one_pose_while_the_face_lives() -> None:
    path = still_path(swing(60), 200)
    assert (path.viewmats == path.viewmats[0]).all() and (path.torso == path.torso[0]).all()
    assert np.ptp(path.phase) > 30


def test_file_is_used_and_the_torso_follows_without_jumps(tmp_path: Path) -> None:
    loop = swing(120)
    np.savez(tmp_path / "poses.npz", viewmats=loop[20:70])
    path = file_path(tmp_path / "poses.npz", loop, 300)
    assert np.abs(path.viewmats[0] - loop[20]).max() < 1e-12
    assert np.abs(np.diff(path.torso)).max() <= 2
    assert np.abs(loop[path.torso] - path.viewmats).max() < 0.02  # half a frame of this movement


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": swing(3)}, "no `viewmats`"),
        ({"viewmats": swing(3)[:, :3]}, "shape"),
        ({"viewmats": swing(3)[:0]}, "shape"),
        ({"viewmats": np.stack([swing(1)[0], 2 * np.eye(4)])}, "Pose 1"),
        ({"viewmats": np.full((2, 4, 4), np.nan)}, "Pose 0"),
        ({"viewmats": np.diag([1.0, 1, -1, 1])[None]}, "Pose 0"),
        ({"viewmats": np.array([{}, {}], dtype=object)}, "cannot be read"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=message):
        file_path(tmp_path / "bad.npz", swing(10), 10)


def test_no_npz_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("hello")
    with pytest.raises(UserError, match="cannot be read"):
        file_path(tmp_path / "x.npz", swing(10), 10)
    np.save(tmp_path / "x.npy", swing(10))
    with pytest.raises(UserError, match="cannot be read|no `viewmats`"):
        file_path(tmp_path / "x.npy", swing(10), 10)
