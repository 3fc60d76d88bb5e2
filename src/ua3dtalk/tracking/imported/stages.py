"""Stages that make a subject of a prepared folder, in place of those of ``prepare``.

Landmarks, poses, mesh and expression are measured anew by ``prepare``'s own stages: mesh and expression need our
landmarks, and poses must fit what is built on them. Frames, masks, torso, background, sound, action units are theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.core.progress import Progress, log, track
from ua3dtalk.media.probe import FPS, VideoFacts
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking import stage_face, stage_picture, stage_pose
from ua3dtalk.tracking.crop import CropBox
from ua3dtalk.tracking.expression import activation
from ua3dtalk.tracking.imported.layout import AGAIN, TalkingFolder
from ua3dtalk.tracking.imported.masks import labels_of_colours, with_face_parts
from ua3dtalk.tracking.imported.pose_check import compare_poses, poses_of_cameras
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.projection import Poses
from ua3dtalk.tracking.stage_io import atomic_folder, load_arrays, write_picture
from ua3dtalk.tracking.stage_picture import Outcome
from ua3dtalk.tracking.topology import rigid_vertices

LEAST_FACE_COVERED = 0.5
"""Share of the faces' meshes that the masks must call head; less means other colours or other pictures."""
SUSPICIOUS_DEG = 5.0
"""Median difference of poses from which a warning is given: measured 0.4 degrees against exact poses."""


class FolderReader(VideoReader):
    """The folder's pictures and sound, read as if they were a video: what ``prepare``'s stages ask a reader for.

    Args:
        layout: The folder.
        sound: Whether ``path`` names the sound (for the audio stage) or the pictures.
    """

    def __init__(self, layout: TalkingFolder, sound: bool = False) -> None:
        self.path = (layout.sound or layout.folder) if sound else layout.folder / "ori_imgs"
        self.facts = VideoFacts(
            fps=float(FPS),
            width=layout.width,
            height=layout.height,
            start_s=layout.sound_start_s,
            duration_s=layout.num_frames / FPS,
            rotation=0,
            has_audio=layout.sound is not None,
        )
        self._skip_s = 0.0
        self._limit = None
        self._layout = layout

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Pictures in order."""
        return (self._layout.read("ori_imgs", i) for i in range(self._layout.num_frames))


def stored_box(layout: TalkingFolder, size: int) -> CropBox:
    """The whole picture, made smaller if its longer side is above ``size`` (to even sides then)."""
    scale = min(1.0, size / max(layout.width, layout.height))
    width, height = layout.width, layout.height
    if scale < 1:
        width, height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
    return CropBox(
        left=0,
        top=0,
        width=layout.width,
        height=layout.height,
        out_width=width,
        out_height=height,
        source_width=layout.width,
        source_height=layout.height,
    )


def run_frames(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """Their pictures: the files themselves where the size is kept, else made smaller."""
    box = stored_box(layout, config.size)
    same = (box.out_width, box.out_height) == (box.width, box.height)
    with atomic_folder(subject.folder / "frames") as folder:

        def store(i: int) -> None:
            picture, path = layout.read("ori_imgs", i), folder / f"{i:06d}.jpg"
            if same:
                shutil.copyfile(layout.path("ori_imgs", i), path)
            else:
                write_picture(path, box.apply(picture))

        for _ in track(progress, "frames", ordered_map(store, range(layout.num_frames)), layout.num_frames):
            pass
    subject.set_size(layout.num_frames, box.out_width, box.out_height)
    facts = {
        "imported_from": layout.folder.name,
        "first_number": layout.first,
        "box": to_plain(box),
        "faces_seen": 1,
        "files_kept": same,
    }
    return ["frames"], facts


def run_landmarks(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """Our own landmarks."""
    return stage_face.run_landmarks(subject, FolderReader(layout), config, progress)


def run_pose(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """Our own poses; theirs are compared with them and the difference recorded."""
    files, facts = stage_pose.run_pose(subject, FolderReader(layout), config, progress)
    pose, seen = load_arrays(subject.folder / "pose.npz"), load_arrays(subject.folder / "landmarks.npz")
    # More than half of the frames are listed and at least half are tracked: some are both.
    known = np.isfinite(layout.cameras[:, 0, 0]) & seen["valid"]
    box = stored_box(layout, config.size)
    difference = compare_poses(
        Poses(pose["rotations"], pose["translations"])[known],
        poses_of_cameras(layout.cameras[known]),
        pose["shape"],
        seen["landmarks"][known][:, rigid_vertices(), :2].astype(np.float64),
        layout.focal * box.scale,
        np.array(box.principal_point),
        512 / max(subject.width, subject.height),
    )
    if difference.median_deg > SUSPICIOUS_DEG:
        log.warning(
            "The folder's poses are %.1f degrees (median) from the measured ones: of other pictures?",
            difference.median_deg,
        )
    theirs = {
        "frames": int(known.sum()),
        "focal_px": round(layout.focal * box.scale, 2),
        "rotation_difference_median_deg": round(difference.median_deg, 2),
        "rotation_difference_p95_deg": round(difference.p95_deg, 2),
        "reprojection_px_at_512": round(difference.reprojection_px, 3),
        "head_scale": round(difference.scale, 3),
    }
    return files, facts | {"imported_poses": theirs}


def run_parsing(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """Their masks in our labels, with the parts of the face from the landmarks."""
    landmarks = load_arrays(subject.folder / "landmarks.npz")["landmarks"]
    size = (subject.width, subject.height)
    head = [int(label) for label in HEAD_LABELS]
    with atomic_folder(subject.folder / "parsing") as folder:

        def label(i: int) -> tuple[np.ndarray, float, bool]:
            try:
                theirs = labels_of_colours(layout.read("parsing", i))
            except ValueError as error:
                raise UserError(f"{layout.path('parsing', i)} has {error}.", AGAIN) from error
            theirs = cv2.resize(theirs, size, interpolation=cv2.INTER_NEAREST_EXACT)
            labels, regions = with_face_parts(theirs, subject.frame(i), landmarks[i])
            write_picture(folder / f"{i:06d}.png", labels)
            covered = float(np.isin(theirs[regions.oval], head).mean()) if regions.oval.any() else 0.0
            return np.bincount(labels.ravel(), minlength=len(Label)), covered, bool((theirs == Label.HAIR).any())

        done = list(track(progress, "masks", ordered_map(label, range(layout.num_frames)), layout.num_frames))
        covered = float(np.mean([share for _, share, _ in done]))
        if covered < LEAST_FACE_COVERED:
            raise UserError(
                f"{layout.folder / 'parsing'}: the masks call only {covered:.0%} of the face head.",
                "They must be of these pictures, with the head blue (0, 0, 255) and the torso red (255, 0, 0).",
            )
    shares = np.sum([counts for counts, _, _ in done], axis=0) / (layout.num_frames * size[0] * size[1])
    return ["parsing"], {
        "person_model": "imported",
        "face_covered": round(covered, 4),
        "hair_told_apart": any(hair for _, _, hair in done),
        "share_of_picture": {label.name.lower(): round(float(shares[label]), 4) for label in Label},
    }


def run_expression(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """Our own expression; named action units are OpenFace's where the folder has them."""
    files, facts = stage_face.run_expression(subject, FolderReader(layout), config, progress)
    path = subject.folder / "track.npz"
    measured = subject.track()
    train = np.array([i for i in make_split(subject.num_frames).train if measured.valid[i]])
    units, agreement = measured.action_units.copy(), {}
    for k, name in enumerate(measured.au_names):
        if name in layout.action_units:
            units[:, k] = activation(layout.action_units[name], train)
            agreement[name] = _correlation(units[:, k], measured.action_units[:, k])
    if agreement:
        replace(measured, action_units=units).save(path)
    more: dict[str, Any] = {"action_units_imported": agreement}
    if "AU45" in agreement:
        more["blinks"] = stage_face.count_blinks(units[:, measured.au_names.index("AU45")])
    return files, facts | more


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r; None where one of them never moves."""
    return round(float(np.corrcoef(a, b)[0, 1]), 3) if a.std() > 1e-9 and b.std() > 1e-9 else None


def run_layers(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """Their torso layers and background."""
    box = stored_box(layout, config.size)
    with atomic_folder(subject.folder / "torso") as folder:

        def store(i: int) -> None:
            write_picture(folder / f"{i:06d}.png", smaller_layer(layout.read("torso_imgs", i), box))

        for _ in track(progress, "torso", ordered_map(store, range(layout.num_frames)), layout.num_frames):
            pass
    partial = subject.folder / ".background.partial.png"
    write_picture(partial, box.apply(layout.background()))
    partial.replace(subject.folder / "background.png")
    return ["torso", "background.png"], {"imported": True}


def smaller_layer(layer: UInt8[np.ndarray, "h w 4"], box: CropBox) -> UInt8[np.ndarray, "h2 w2 4"]:
    """An RGBA layer at the stored size; colours of transparent pixels do not bleed into the border."""
    if layer.shape[:2] == (box.out_height, box.out_width):
        return layer
    alpha = layer[..., 3:].astype(np.float32) / 255
    whole = np.concatenate([layer[..., :3] * alpha, alpha], -1)
    small = cv2.resize(whole, (box.out_width, box.out_height), interpolation=cv2.INTER_AREA)
    rgb = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.concatenate([rgb, small[..., 3:] * 255], -1).round().clip(0, 255).astype(np.uint8)


def run_audio(layout: TalkingFolder, subject: Subject, config: PrepareConfig, progress: Progress) -> Outcome:
    """The part of ``aud.wav`` that goes with the frames."""
    return stage_picture.run_audio(subject, FolderReader(layout, sound=True), config, progress)
