"""Clips to train the content prior on: the lips and the sound of a subject, or of a video as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.audio import SAMPLE_RATE_HZ, read_audio
from ua3dtalk.media.video import VideoReader
from ua3dtalk.priors.content_training import ContentClip
from ua3dtalk.priors.lip_targets import lip_shapes
from ua3dtalk.subject.parts import joints_of
from ua3dtalk.subject.split import GAP_FRAMES, make_split
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.landmarks import NUM_LANDMARKS, FaceMeshLandmarks
from ua3dtalk.tracking.normalised import normalised_points

MIN_FACES = 0.9
FPS = 25


def person_and_path(clip: str) -> tuple[str | None, Path]:
    """What ``[PERSON=]CLIP`` names: who it is, if it says so, and the subject folder or video."""
    person, _, path = clip.partition("=")
    return (person, Path(path)) if path and not Path(clip).exists() else (None, Path(clip))


def load_clip(path: Path, person: str | None = None, *, whole: bool = False, cache: Path | None = None) -> ContentClip:
    """A training clip of a prepared subject (its training frames) or of a video (all of it).

    Args:
        path: Subject folder, or a video of any rate.
        person: Who it is; the path's name when None.
        whole: Take all frames of a subject, for figures of speakers that are left out.
        cache: Folder that keeps the landmarks of videos by name.

    Raises:
        UserError: no sound, or a face in less than nine tenths of the frames.
    """
    if path.is_dir():
        subject = Subject.open(path)
        if not subject.has_audio:
            raise UserError(f"{path} has no sound to learn from.", "Use a video in which the person speaks.")
        if joints_of(subject):
            raise UserError(f"{path} is joined of several videos.", "Give each video by itself, under one person.")
        track = subject.track()
        used = subject.num_frames if whole else make_split(subject.num_frames).test.start - GAP_FRAMES
        audio = subject.audio()[: used * SAMPLE_RATE_HZ // FPS]
        landmarks = np.where(track.valid[:, None, None], track.landmarks, np.nan)[:used]
    else:
        reader = VideoReader(path)
        audio, _ = read_audio(path, start_s=reader.start_s)
        landmarks = find_landmarks(reader, cache)
    return clip_from_landmarks(path.stem, person or path.stem, landmarks, audio)


def find_landmarks(reader: VideoReader, cache: Path | None = None) -> Float[np.ndarray, "t 478 3"]:
    """Landmarks of every frame, in pixels; NaN without a face."""
    kept = cache / f"{reader.path.stem}.npy" if cache else None
    if kept is not None and kept.is_file():
        return np.load(kept, allow_pickle=False)
    nothing = np.full((NUM_LANDMARKS, 3), np.nan, np.float32)
    with FaceMeshLandmarks() as detector:
        found = [detector.detect(frame) for frame in reader]
    landmarks = np.stack([nothing if points is None else points for points in found])
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, landmarks)
    return landmarks


def clip_from_landmarks(
    name: str, person: str, landmarks: Float[np.ndarray, "t 478 3"], audio: Float[np.ndarray, " s"]
) -> ContentClip:
    """Lips without head and camera; frames without a face are bridged.

    Args:
        name: For reports.
        person: Clips of one person are held out together.
        landmarks: Pixels, y down; NaN without a face.
        audio: 16 kHz mono, sample 0 at the first frame.

    Raises:
        UserError: a face in less than nine tenths of the frames.
    """
    seen = np.flatnonzero(np.isfinite(landmarks[:, 0, 0]))
    if len(seen) < max(1.0, MIN_FACES * len(landmarks)):
        raise UserError(f"{name} shows a face in {len(seen)} of {len(landmarks)} frames.", "Leave it out.")
    shapes = lip_shapes(np.stack([normalised_points(landmarks[i]) for i in seen])[:, :468])
    bridged = np.stack([np.interp(np.arange(len(landmarks)), seen, column) for column in shapes.T], axis=1)
    return ContentClip(name=name, speaker=person, audio=audio.astype(np.float32), shapes=bridged.astype(np.float32))
