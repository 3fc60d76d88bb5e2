"""Stages of ``prepare`` that measure the face: landmarks and expression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.core.progress import Progress, Task, log
from ua3dtalk.core.sequence import pieces, stretches
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.parts import joints_of, split_of
from ua3dtalk.subject.store import FPS, Subject
from ua3dtalk.subject.track_data import TrackData
from ua3dtalk.tracking.expression import AU_NAMES, SHAPES_OF_UNIT, measure_expression, units_of_blendshapes
from ua3dtalk.tracking.head_frame import to_head_frame
from ua3dtalk.tracking.landmarks import NUM_LANDMARKS, FaceLandmarks, FaceMeshLandmarks, TaskLandmarks
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.projection import Poses
from ua3dtalk.tracking.same_person import ALIKE, face_texture, frames_to_compare, stranger
from ua3dtalk.tracking.stage_io import load_arrays, save_arrays
from ua3dtalk.tracking.topology import NUM_VERTICES

Outcome = tuple[list[str], dict[str, Any]]


def run_landmarks(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """Landmarks of every frame; short gaps are bridged, long ones refused."""
    landmarks = np.full((subject.num_frames, NUM_LANDMARKS, 3), np.nan, np.float32)
    units = np.full((subject.num_frames, len(SHAPES_OF_UNIT)), np.nan, np.float32)
    joints = joints_of(subject)
    videos = pieces(subject.num_frames, joints)
    name = ""
    with progress.task("landmarks", subject.num_frames) as task:
        for video in videos:  # each with a model of its own: models follow a face from frame to frame
            name = _detect(subject, video, config, landmarks, units, task)
    valid = np.isfinite(landmarks[:, 0, 0])
    for one, video in zip(reader.parts, videos, strict=True):
        _refuse_long_gaps(valid[video.start : video.stop], one.path, config)
    named = np.isfinite(units[:, 0])
    units = bridge(units, named, joints) if all(named[video].any() for video in videos) else units[:0]
    landmarks = bridge(landmarks, valid, joints)
    if joints:
        _refuse_strangers(subject, videos, landmarks, valid, reader)
    save_arrays(subject.folder / "landmarks.npz", landmarks=landmarks, valid=valid, units=units)
    lost = int((~valid).sum())
    if lost:
        log.info("The face was lost in %d of %d frames; bridged.", lost, len(valid))
    facts = {
        "model": name,
        "frames_tracked": int(valid.sum()),
        "frames_interpolated": lost,
        "action_units_from": "blendshapes" if len(units) else "landmarks",
    }
    return ["landmarks.npz"], facts


def _detect(
    subject: Subject, video: range, config: PrepareConfig, landmarks: np.ndarray, units: np.ndarray, task: Task
) -> str:
    """Fill in landmarks and blendshape units of the frames of one video; the name of the model."""
    faces = int(subject.facts("frames")["faces_seen"])
    model: FaceLandmarks = (
        TaskLandmarks(config.face_model) if config.face_model else FaceMeshLandmarks(max_faces=min(faces, 4))
    )
    second: FaceMeshLandmarks | None = None
    try:
        for i, frame in zip(video, ordered_map(subject.frame, video, workers=1), strict=True):
            found = model.detect(frame)
            if found is not None and model.blendshapes is not None:
                units[i] = units_of_blendshapes(model.blendshapes)
            if found is None:
                second = second or FaceMeshLandmarks(static=True, min_confidence=0.25)
                found = second.detect(frame)
            if found is not None:
                landmarks[i] = found
            task.advance()
    finally:
        model.close()
        if second is not None:
            second.close()
    return model.name


def _refuse_long_gaps(valid: np.ndarray, path: Path, config: PrepareConfig) -> None:
    if valid.mean() < 0.5:
        raise UserError(
            f"{path}: a face was found in only {valid.mean():.0%} of the frames.",
            "Film one real person from the front, in good light.",
        )
    long = [(a, b) for a, b in stretches(~valid) if (b - a) / FPS > config.max_gap_s]
    if long:
        listed = ", ".join(f"{a / FPS:.1f}–{b / FPS:.1f} s" for a, b in long[:8])
        raise UserError(f"{path}: the face is lost for long at {listed}.", "Cut these parts out of the video.")


def _refuse_strangers(
    subject: Subject, videos: Sequence[range], landmarks: np.ndarray, valid: np.ndarray, reader: VideoReader
) -> None:
    """Of several videos, all show the same face."""
    textures = [
        np.array([face_texture(subject.frame(i), landmarks[i]) for i in frames_to_compare(valid, video)])
        for video in videos
    ]
    odd = stranger(textures)
    if odd is not None:
        path, alike = reader.parts[odd[0]].path, odd[1]
        raise UserError(
            f"{path} seems to show another person than the other videos (likeness {alike:.2f}, {ALIKE:g} is needed).",
            f"Leave {path.name} out; of the same person, use videos in similar light and poses.",
        )


def bridge(values: np.ndarray, valid: Bool[np.ndarray, " t"], joints: Sequence[int] = ()) -> np.ndarray:
    """Values [T, ...] with those of frames that are not valid interpolated linearly (held at the ends).

    Args:
        values: One row for each frame.
        valid: Which are to be kept.
        joints: First frame of each video but the first: nothing is interpolated across.
    """
    if joints:
        videos = pieces(len(values), joints)
        return np.concatenate([bridge(values[v.start : v.stop], valid[v.start : v.stop]) for v in videos])
    if valid.all():
        return values
    good = np.flatnonzero(valid)
    where = np.arange(len(values))
    right = np.clip(np.searchsorted(good, where), 0, len(good) - 1)
    left = np.clip(np.searchsorted(good, where, side="right") - 1, 0, len(good) - 1)
    a, b = good[left], good[right]
    share = np.where(b > a, (where - a) / np.maximum(b - a, 1), 0.0)
    share = share.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    return values[a] * (1 - share) + values[b] * share


def pose_angles(poses: Poses) -> Float64[np.ndarray, "t 3"]:
    """Pitch (up), yaw (to the subject's left), roll of the head, radians, from its axes in the camera's frame."""
    forward = poses.rotations[:, :, 2]
    side = poses.rotations[:, :, 0]
    pitch = np.arcsin(np.clip(-forward[:, 1], -1, 1))
    yaw = np.arctan2(forward[:, 0], -forward[:, 2])
    roll = np.arctan2(side[:, 1], side[:, 0])
    return np.stack([pitch, yaw, roll], 1)


def run_expression(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """Expression and action units; writes ``track.npz``."""
    arrays = load_arrays(subject.folder / "landmarks.npz")
    pose = load_arrays(subject.folder / "pose.npz")
    poses = Poses(pose["rotations"], pose["translations"])
    focal, centre = float(pose["focal"]), pose["centre"]
    points = to_head_frame(arrays["landmarks"], poses, pose["shape"], focal, centre)
    split = split_of(subject)
    train = np.array([i for i in split.train if arrays["valid"][i]])
    angles = pose_angles(poses)
    units = arrays["units"]
    named = dict(zip(SHAPES_OF_UNIT, units.T, strict=True)) if len(units) else None
    found = measure_expression(points, angles, train, named)
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    TrackData(
        viewmats=poses.viewmats(),
        K=K,
        landmarks=arrays["landmarks"],
        lower=found.lower,
        upper=found.upper,
        opening=found.opening,
        width=found.width,
        action_units=found.action_units,
        au_names=AU_NAMES,
        mesh=found.mesh,
        mesh_basis=found.mesh_basis,
        valid=arrays["valid"],
        head_points=points[:, :NUM_VERTICES].astype(np.float32),
    ).save(subject.folder / "track.npz")
    degrees = np.degrees(angles)
    facts = {
        "lower_face_explained": round(found.explained, 4),
        "opening_percentiles": np.percentile(found.opening, [5, 50, 95]).round(4).tolist(),
        "blinks": sum(
            count_blinks(found.action_units[video, AU_NAMES.index("AU45")])
            for video in pieces(subject.num_frames, joints_of(subject))
        ),
        "pose_range_deg": {
            name: np.percentile(degrees[:, k], [2, 98]).round(1).tolist()
            for k, name in enumerate(("pitch", "yaw", "roll"))
        },
    }
    return ["track.npz"], facts


def count_blinks(blink: np.ndarray) -> int:
    """How often the lids close: rises of the blink unit over 0.6."""
    closed = blink > 0.6
    return int((closed[1:] & ~closed[:-1]).sum())
