"""Head movement for any length of speech: the subject's own, to and fro with eased turning points; still; or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.spatial.transform import Rotation

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import ARCHIVE_ERRORS

EASE_FRAMES = 12
"""The movement slows down over this many frames before it turns."""
_TORSO_REACH = 2


@dataclass(frozen=True)
class PosePath:
    """Where the head is in every frame."""

    viewmats: Float64[np.ndarray, "t 4 4"]
    """World to camera."""
    phase: Float64[np.ndarray, " t"]
    """Position in the subject's loop, 0..L−1, fractional: where upper-face signals and torso are taken from."""
    torso: Int64[np.ndarray, " t"]
    """Loop frame whose torso belongs to the pose."""


def ping_pong(num_frames: int, length: int) -> Float64[np.ndarray, " t"]:
    """Positions 0..length−1 that run to the end and back for ever, at most one step per frame.

    Near the ends the speed falls evenly to zero and rises again: position and speed never jump.

    Args:
        num_frames: T.
        length: Frames of the loop, at least 1.

    Raises:
        ValueError: length below 1.
    """
    if length < 1:
        raise ValueError(f"`length` must be at least 1, got {length}.")
    last = length - 1
    if last == 0:
        return np.zeros(num_frames)
    ease = min(EASE_FRAMES, last / 2)
    one_way = last + 2 * ease  # frames for 0 → last: `ease` of distance takes 2·ease frames at either end
    t = np.arange(num_frames) % (2 * one_way)
    t = np.where(t > one_way, 2 * one_way - t, t)  # the way back mirrors the way there
    from_end = one_way - t
    position = t - ease
    position = np.where(t < 2 * ease, t**2 / (4 * ease), position)
    return np.where(from_end < 2 * ease, last - from_end**2 / (4 * ease), position)


def interpolate_poses(
    viewmats: Float[np.ndarray, "l 4 4"], phase: Float64[np.ndarray, " t"]
) -> Float64[np.ndarray, "t 4 4"]:
    """Poses between frames: the head's orientation on the shortest arc, the camera's position on a line."""
    viewmats = viewmats.astype(np.float64)
    low = np.clip(np.floor(phase).astype(np.int64), 0, max(len(viewmats) - 2, 0))
    high = np.minimum(low + 1, len(viewmats) - 1)
    weight = phase - low
    start = Rotation.from_matrix(viewmats[low, :3, :3])
    turn = Rotation.from_matrix(viewmats[high, :3, :3]) * start.inv()
    out = np.tile(np.eye(4), (len(phase), 1, 1))
    out[:, :3, :3] = (Rotation.from_rotvec(turn.as_rotvec() * weight[:, None]) * start).as_matrix()
    out[:, :3, 3] = viewmats[low, :3, 3] * (1 - weight[:, None]) + viewmats[high, :3, 3] * weight[:, None]
    return out


def source_path(viewmats: Float[np.ndarray, "l 4 4"], num_frames: int) -> PosePath:
    """The subject's own movement, to and fro."""
    phase = ping_pong(num_frames, len(viewmats))
    return PosePath(interpolate_poses(viewmats, phase), phase, np.rint(phase).astype(np.int64))


def still_path(viewmats: Float[np.ndarray, "l 4 4"], num_frames: int) -> PosePath:
    """The most usual pose of the loop, held; upper-face signals still run along the loop."""
    index = usual_frame(viewmats)
    held = np.repeat(viewmats[index : index + 1].astype(np.float64), num_frames, 0)
    return PosePath(held, ping_pong(num_frames, len(viewmats)), np.full(num_frames, index, np.int64))


def file_path(path: Path, viewmats: Float[np.ndarray, "l 4 4"], num_frames: int) -> PosePath:
    """Poses of a file, to and fro where the speech is longer; the torso follows the nearest pose of the loop.

    Raises:
        UserError: see ``read_poses``.
    """
    given = read_poses(path)
    poses = interpolate_poses(given, ping_pong(num_frames, len(given)))
    return PosePath(poses, ping_pong(num_frames, len(viewmats)), follow_torso(poses, viewmats))


def read_poses(path: Path) -> Float64[np.ndarray, "p 4 4"]:
    """``viewmats`` of an ``.npz``, world to camera, 25 per second, metres.

    Raises:
        UserError: missing, no ``.npz``, or not a series of rigid motions; the message says which.
    """
    cure = "Give an .npz with `viewmats` [frames, 4, 4], world to camera, metres."
    try:
        with np.load(path, allow_pickle=False) as archive:
            viewmats = np.asarray(archive["viewmats"], np.float64)
    except KeyError as error:
        raise UserError(f"{path} holds no `viewmats`.", cure) from error
    except ARCHIVE_ERRORS as error:
        raise UserError(f"{path} cannot be read as poses.", cure) from error
    if viewmats.ndim != 3 or viewmats.shape[1:] != (4, 4) or not len(viewmats):
        raise UserError(f"`viewmats` in {path} has the shape {viewmats.shape}.", cure)
    finite = np.asarray(np.isfinite(viewmats).all((1, 2)))
    rotations = np.where(finite[:, None, None], viewmats[:, :3, :3], 0.0)
    off = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
    bottom = np.abs(viewmats[:, 3, :] - np.array([0, 0, 0, 1])).max(1)
    bad = np.logical_not(finite & (off < 1e-3) & (bottom < 1e-6) & (np.linalg.det(rotations) > 0))
    if bad.any():
        raise UserError(f"Pose {int(np.argmax(bad))} in {path} is not a rotation with a translation.", cure)
    return viewmats


def usual_frame(viewmats: Float[np.ndarray, "l 4 4"]) -> int:
    """The frame nearest to the median pose."""
    poses = viewmats[:, :3].reshape(len(viewmats), -1)
    return int(np.argmin(np.linalg.norm(poses - np.median(poses, 0), axis=1)))


def follow_torso(poses: Float64[np.ndarray, "t 4 4"], viewmats: Float[np.ndarray, "l 4 4"]) -> Int64[np.ndarray, " t"]:
    """The loop frame whose pose is nearest, found by small steps so that the torso moves and never jumps."""
    flat, loop = poses[:, :3].reshape(len(poses), -1), viewmats[:, :3].reshape(len(viewmats), -1)
    found = np.empty(len(poses), np.int64)
    current = int(np.argmin(np.linalg.norm(loop - flat[0], axis=1)))
    for t, pose in enumerate(flat):
        start = max(current - _TORSO_REACH, 0)
        near = loop[start : current + _TORSO_REACH + 1]
        current = start + int(np.argmin(np.linalg.norm(near - pose, axis=1)))
        found[t] = current
    return found
