"""The stage of ``prepare`` that finds the head's pose in every frame (DESIGN §5.3).

Landmarks give a first pose, optical flow steadies it, and registration on the person's mean picture makes it true.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.config import from_plain
from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.core.progress import Progress, track
from ua3dtalk.core.sequence import spread
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.parts import joints_of
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.bundle import Bundle, fit_bundle, refit_shape, solve_poses
from ua3dtalk.tracking.crop import CropBox
from ua3dtalk.tracking.flow import measure_flow
from ua3dtalk.tracking.head_surface import HeadSurface, unwrap
from ua3dtalk.tracking.person import PersonMask
from ua3dtalk.tracking.pose import (
    Observations,
    TrackedPoints,
    flow_error_px,
    refine_poses,
    reprojection_px,
    tracks_px,
)
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.projection import Poses, pixels_of
from ua3dtalk.tracking.registration import Registration, Tracks, rigid_region
from ua3dtalk.tracking.stage_io import load_arrays, save_arrays
from ua3dtalk.tracking.structure import fit_structure
from ua3dtalk.tracking.topology import front_of_rigid, mean_face, rigid_vertices

Outcome = tuple[list[str], dict[str, Any]]
BUNDLE_FRAMES = 160
HOLD_OUT_EVERY = 5
MEAN_FRAMES, MASK_FRAMES = 60, 20
"""Frames that the mean picture and the person's outline in it are made of."""
LEAST_FEATURES = 25
"""With fewer, registration says less than landmarks do."""
RESOLUTION_PER_M = (300.0, 1400.0)


@dataclass(frozen=True)
class _Fit:
    poses: Poses
    bundle: Bundle
    tracked: TrackedPoints | None = None


def run_pose(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """Focal length, head shape and the pose of every frame."""
    arrays = load_arrays(subject.folder / "landmarks.npz")
    valid = arrays["valid"]
    rigid = rigid_vertices()
    points = np.ascontiguousarray(arrays["landmarks"][:, rigid, :2].astype(np.float64))
    box = from_plain(CropBox, subject.facts("frames")["box"], "box")
    centre, side = np.array(box.principal_point), box.source_side
    unit = 512 / max(subject.width, subject.height)
    chosen = _some(np.flatnonzero(valid), BUNDLE_FRAMES)
    bundle = fit_bundle(points[chosen], mean_face().vertices[rigid], centre, unit, side, config.bundle)
    start = solve_poses(points, bundle.shape, bundle.focal, centre)
    where = pixels_of(start, bundle.shape, bundle.focal, centre)
    frames = track(progress, "head pose", ordered_map(subject.grey, range(subject.num_frames)), subject.num_frames)
    flow = np.array(list(measure_flow(frames, where, front_of_rigid())))
    flow[[joint - 1 for joint in joints_of(subject)]] = np.nan
    held_out = np.arange(len(rigid)) % HOLD_OUT_EVERY == 0
    fitted = flow.copy()
    fitted[:, held_out] = np.nan
    seen = Observations(points, valid, fitted, centre, unit)
    steady = _Fit(refine_poses(start, bundle, seen, config.pose), bundle)
    fit = _registered(subject, steady, seen, chosen, config, progress)
    poses, bundle, tracked = fit.poses, fit.bundle, fit.tracked
    judged = Observations(points, valid, flow, centre, unit)
    save_arrays(
        subject.folder / "pose.npz",
        rotations=poses.rotations,
        translations=poses.translations,
        shape=bundle.shape,
        focal=np.array(bundle.focal),
        centre=centre,
    )
    facts = {
        "focal_px": round(bundle.focal, 2),
        "focal_over_source_side": round(bundle.focal / side, 3),
        "reprojection_px_at_512": round(reprojection_px(poses, bundle, judged), 3),
        "tracked_points": 0 if tracked is None else round(float(tracked.weights.sum()), 1),
        "tracked_points_px_at_512": None if tracked is None else round(tracks_px(poses, bundle, seen, tracked), 3),
        "flow_error_px_at_512": round(flow_error_px(poses, bundle, judged, held_out), 3),
        "flow_error_landmarks_only_px_at_512": round(flow_error_px(start, bundle, judged, held_out), 3),
        "shape_offset_mm": round(
            float(np.linalg.norm(bundle.shape - mean_face().vertices[rigid], axis=1).mean() * 1000), 2
        ),
    }
    return ["pose.npz"], facts


def _some(frames: np.ndarray, at_most: int) -> np.ndarray:
    return frames[spread(len(frames), at_most)]


def _registered(
    subject: Subject, fit: _Fit, seen: Observations, chosen: np.ndarray, config: PrepareConfig, progress: Progress
) -> _Fit:
    """Poses and shape made true by material points of the head; unchanged where it shows too little texture.

    Two rounds: the mean picture of the second is sharper, since it is made with the poses of the first. Poses and the
    landmarks' shape are fitted in turn.
    """
    vertices, rigid = mean_face().vertices, rigid_vertices()
    per_m = float(np.median(fit.bundle.focal / fit.poses.translations[:, 2]))
    surface = HeadSurface(vertices, float(np.clip(per_m, *RESOLUTION_PER_M)))
    registration = Registration(surface, subject.grey, fit.bundle.focal, seen.centre)
    frames = np.flatnonzero(seen.valid)
    allowed = rigid_region(surface, vertices, _person(subject, registration, fit.poses, _some(frames, MASK_FRAMES)))
    for name, alternations in (("registration", 1), ("registration again", 2)):
        mean = registration.mean_picture(fit.poses, _some(frames, MEAN_FRAMES).tolist())
        features = registration.features(mean, allowed)
        if len(features) < LEAST_FEATURES:
            return fit
        pixels = np.full((len(fit.poses), len(features), 2), np.nan, np.float32)
        found = registration.follow(fit.poses, mean, features, frames.tolist())
        for t, where in track(progress, name, found, len(frames)):
            pixels[t] = where
        on_mesh = surface.on_mesh[tuple(features.round().astype(int).T[::-1])]
        tracks = Tracks(pixels, surface.points(features), on_mesh)
        tracked = fit_structure(tracks, fit.poses, fit.bundle.focal, seen.centre, seen.unit)
        poses, bundle = fit.poses, fit.bundle
        for _ in range(alternations):
            poses = refine_poses(poses, bundle, replace(seen, tracked=tracked), config.pose)
            bundle = refit_shape(
                seen.points[chosen], poses[chosen], bundle, vertices[rigid], seen.centre, seen.unit, config.bundle
            )
        fit = _Fit(poses, bundle, tracked)
    return fit


def _person(
    subject: Subject, registration: Registration, poses: Poses, frames: np.ndarray
) -> Float32[np.ndarray, "h w"]:
    """Mean person probability on the head's surface."""
    masks = []
    with PersonMask() as model:
        for t in frames.tolist():
            where = registration.in_frame(poses, t)
            masks.append(unwrap(model.detect(subject.frame(t)), where))
    return np.asarray(np.mean(masks, axis=0), np.float32)
