"""One pass over all frames at an eighth of their size, and a closer look at a few of them. T frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.luma import LUMA
from ua3dtalk.core.progress import Progress, track
from ua3dtalk.recipes.data_report.drawn import outline_strength
from ua3dtalk.recipes.data_report.sequence import Watched
from ua3dtalk.subject.frames import FrameFolder
from ua3dtalk.subject.labels import Label
from ua3dtalk.subject.store import Subject
from ua3dtalk.subject.track_data import TrackData
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.topology import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

THUMB_PX = 16
BLOWN, CRUSHED = 250, 10
"""Brightest channel from which a pixel of skin has lost its shape, and darkest-but-one brightness, of 255."""
SPOT_EVERY_S = 2.0
MAX_SPOTS, MIN_SPOTS = 24, 6
EIGHTH = 8


@dataclass(frozen=True, kw_only=True)
class Spot:
    """What a closer look at one frame found."""

    frame: int
    """Which."""
    skin_brightness: float | None
    """Median brightness of the skin, 0..255."""
    blown: float
    """Share of the skin that is blown out, 0..1."""
    crushed: float
    """Share of the skin that is black, 0..1."""
    outlines: float
    """``drawn.outline_strength``."""
    background_change: float | None
    """Mean difference of the visible background from the plate, grey levels."""
    head_touches_top: bool
    """Whether hair or skin reaches the upper edge of the picture."""
    other_faces: int
    """Faces seen beside the tracked one."""


def watch(subject: Subject, track_data: TrackData, progress: Progress) -> Watched:
    """The pass over all frames.

    Raises:
        UserError: a frame is damaged.
    """
    landmarks = track_data.landmarks[..., :2]
    eyes = np.linalg.norm(landmarks[:, LEFT_EYE_OUTER] - landmarks[:, RIGHT_EYE_OUTER], axis=1)
    shift = np.linalg.norm(np.diff(landmarks.mean(1), axis=0), axis=1) / np.maximum(np.minimum(eyes[1:], eyes[:-1]), 1)
    face_change, brightness, face_brightness, thumbs = [], [], [], []
    previous: np.ndarray | None = None
    for i, small in enumerate(_small_frames(subject, progress)):
        low = np.clip(landmarks[i].min(0) // EIGHTH, 0, np.array(small.shape[1::-1]) - 1).astype(int)
        high = np.maximum(np.ceil(landmarks[i].max(0) / EIGHTH).astype(int), low + 1)
        face = (slice(low[1], high[1]), slice(low[0], high[0]))
        if previous is not None:
            difference = cv2.absdiff(small, previous)[face].astype(np.float32).mean(2)
            face_change.append(float(difference.max()))
        brightness.append(float(small.mean()))
        face_brightness.append(float(small[face].mean()))
        thumbs.append(cv2.resize(small, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA))
        previous = small
    return Watched(
        face_change=np.array(face_change, np.float32),
        brightness=np.array(brightness, np.float32),
        face_brightness=np.array(face_brightness, np.float32),
        thumbs=np.array(thumbs),
        shift=shift.astype(np.float32),
    )


def _small_frames(subject: Subject, progress: Progress) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """All frames, RGB, shrunk to an eighth while they are decoded."""
    folder = FrameFolder(subject.folder / "frames", ".jpg", 3)
    for i in track(progress, "data report", range(subject.num_frames)):
        picture = cv2.imread(str(folder.path(i)), cv2.IMREAD_REDUCED_COLOR_8)
        if picture is None:
            raise UserError(f"{folder.path(i)} is damaged.", "Run `ua3dtalk prepare` again.")
        yield np.ascontiguousarray(picture[..., ::-1])


def spot_frames(num_frames: int, fps: float) -> list[int]:
    """Frames to look at closely: every two seconds, evenly spread."""
    count = int(np.clip(num_frames / fps / SPOT_EVERY_S, MIN_SPOTS, MAX_SPOTS))
    return np.unique(np.linspace(0, num_frames - 1, count).round().astype(int)).tolist()


def look_closely(subject: Subject, track_data: TrackData) -> list[Spot]:
    """A closer look at a few frames."""
    background = subject.background()
    found = []
    with FaceMeshLandmarks(static=True, max_faces=2) as detector:
        for i in spot_frames(subject.num_frames, subject.fps):
            frame = subject.frame(i)
            others = other_faces(detector.detect_all(frame), track_data.landmarks[i])
            found.append(look_at(i, frame, subject.parsing(i), background, track_data.landmarks[i], others))
    return found


def look_at(
    i: int,
    frame: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    background: UInt8[np.ndarray, "h w 3"],
    landmarks: Float32[np.ndarray, "478 3"],
    others: int,
) -> Spot:
    """What there is to say about one frame."""
    skin = frame[labels == Label.SKIN]
    bright = skin @ np.array(LUMA, np.float32)
    behind = labels == Label.BACKGROUND
    difference = cv2.absdiff(frame, background)[behind]
    top = np.isin(labels[0], [Label.HAIR, Label.SKIN])
    return Spot(
        frame=i,
        skin_brightness=float(np.median(bright)) if len(bright) else None,
        blown=float((skin.max(1) >= BLOWN).mean()) if len(bright) else 0.0,
        crushed=float((bright <= CRUSHED).mean()) if len(bright) else 0.0,
        outlines=outline_strength(frame, landmarks),
        background_change=float(difference.mean()) if behind.mean() > 0.02 else None,
        head_touches_top=bool(top.mean() > 0.05),
        other_faces=others,
    )


def other_faces(faces: list[Float32[np.ndarray, "478 3"]], tracked: Float32[np.ndarray, "478 3"]) -> int:
    """How many of the faces found are not the tracked one: their middles lie outside its box."""
    low, high = tracked[:, :2].min(0), tracked[:, :2].max(0)
    middles = [face[:, :2].mean(0) for face in faces]
    return sum(not ((middle > low).all() and (middle < high).all()) for middle in middles)
