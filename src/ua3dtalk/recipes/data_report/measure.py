"""Everything the report says in numbers, gathered from a subject folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress
from ua3dtalk.core.sequence import Stretch, stretches
from ua3dtalk.priors.content import voice_activity
from ua3dtalk.recipes.data_report.coverage import (
    EmotionFacts,
    ExpressionFacts,
    MouthFacts,
    PoseFacts,
    angles_deg,
    emotion_facts,
    expression_facts,
    expression_signals,
    face_height_px,
    mouth_facts,
    outside_share,
    pose_facts,
)
from ua3dtalk.recipes.data_report.drawn import face_size
from ua3dtalk.recipes.data_report.light_and_sound import LightFacts, SpeechFacts, light_facts, speech_facts
from ua3dtalk.recipes.data_report.sequence import (
    DARK_LEVEL,
    Watched,
    dark_stretches,
    find_cuts,
    freezes,
    longest_between,
    repeats,
)
from ua3dtalk.recipes.data_report.watch import Spot, look_closely, watch
from ua3dtalk.subject.parts import joints_of, split_of
from ua3dtalk.subject.store import Subject
from ua3dtalk.subject.track_data import TrackData

TimeSpan = tuple[float, float]
"""Start and end, seconds of the source video."""


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """The sequence of pictures. Times are seconds of the source video."""

    num_frames: int
    """Frames at 25 fps."""
    seconds: float
    """Length."""
    new_pictures_per_s: float
    """Pictures per second that differ from the one before."""
    frozen: tuple[TimeSpan, ...]
    """Where the picture stands still for a fifth of a second and more."""
    black: tuple[TimeSpan, ...]
    """Where the picture is black."""
    scene_cuts: tuple[float, ...]
    """Where another scene begins."""
    jumps: tuple[float, ...]
    """Where the head jumps within the scene."""
    longest_scene: TimeSpan
    """The longest stretch without a cut to another scene."""
    joints: tuple[float, ...] = ()
    """Where one of several videos ends and the next begins; these are no cuts."""
    other_views: tuple[float, ...] = ()
    """Those of them after which the camera sees something else."""


@dataclass(frozen=True, kw_only=True)
class TrackingFacts:
    """How well the face was followed."""

    tracked: int
    """Frames in which the face was found."""
    interpolated: int
    """Frames in which it was lost and is interpolated between its neighbours."""
    train_frames: int
    """Training frames in which the face was found."""
    lost: tuple[TimeSpan, ...]
    """Where it was lost, seconds of the source video."""
    reprojection_px: float | None
    """RMS distance of the rigid head's points from the landmarks, px at 512."""
    flow_error_px: float | None
    """How far the head's motion strays from the motion of the pixels, on points kept out of the fit, px at 512."""
    face_height_px: float
    """Height of the face in the stored frames, pixels."""
    stored_side: int
    """Larger side of the stored frames, pixels."""
    shrunk: float
    """How many times as large the source shows them; 1 where it is not larger."""
    outside_share: float
    """Share of the frames in which a part of the face lies outside the picture, 0..1."""
    cut_off_share: float
    """Share of the frames looked at in which the head touches the picture's upper edge, 0..1."""
    other_faces: tuple[float, ...]
    """When another face is in the picture, of the moments looked at, seconds of the source video."""
    faces_seen: int
    """Faces in the whole source picture for a fifth of the time or more."""
    face_size: float
    """``drawn.face_size``, eye distances."""
    outlines: float
    """``drawn.outline_strength``, median of the frames looked at."""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """All numbers of the report."""

    video: VideoFacts
    """Pictures in time."""
    tracking: TrackingFacts
    """The face in them."""
    mouth: MouthFacts
    """Its opening."""
    expression: ExpressionFacts
    """Lids, smile, brows."""
    pose: PoseFacts
    """Where it looks."""
    light: LightFacts
    """What falls on it."""
    speech: SpeechFacts
    """What it says."""
    emotion: EmotionFacts
    """What the user says it shows."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Numbers, and the curves behind them for the pictures."""

    facts: DataFacts
    """Numbers."""
    track: TrackData
    """Tracked faces."""
    angles: np.ndarray
    """Pitch, yaw, roll, degrees, [T, 3]."""
    signals: dict[str, np.ndarray]
    """``coverage.expression_signals``."""
    watched: Watched
    """The pass over all frames."""
    voiced: np.ndarray | None
    """How much speech is heard around each frame, 0..1, [T]."""
    fps: float
    """Frames per second."""
    start_s: float
    """Where the subject begins in the source video, seconds."""


def measure(subject: Subject, start_s: float, progress: Progress) -> Measured:
    """Look at a prepared subject.

    Args:
        subject: With its *speech* stage done.
        start_s: Where the subject begins in the source video, seconds.
        progress: Where to report.
    """
    track = subject.track()
    watched = watch(subject, track, progress)
    spots = look_closely(subject, track)
    angles, signals, fps = angles_deg(track), expression_signals(track.head_points), subject.fps
    shown = watched.brightness >= DARK_LEVEL
    recorded = subject.facts("speech")
    voiced = None
    if recorded.get("speech") != "none":
        voiced = voice_activity(subject.speech(), subject.num_frames)
    facts = DataFacts(
        video=video_facts(watched, start_s, fps, joints_of(subject)),
        tracking=_tracking_facts(subject, track, spots, start_s),
        mouth=mouth_facts(track.opening, fps),
        expression=expression_facts(signals, fps),
        pose=pose_facts(angles, fps),
        light=light_facts(watched.brightness[shown], watched.face_brightness[shown], spots),
        speech=speech_facts(_sound(subject), voiced, recorded, subject.num_frames, fps),
        emotion=emotion_facts(subject.labels, subject.num_frames, fps),
    )
    return Measured(
        facts=facts,
        track=track,
        angles=angles,
        signals=signals,
        watched=watched,
        voiced=voiced,
        fps=fps,
        start_s=start_s,
    )


def video_facts(watched: Watched, start_s: float, fps: float, joints: Sequence[int] = ()) -> VideoFacts:
    """What the pass over all frames says about the sequence.

    Args:
        watched: The pass.
        start_s: Where it begins in the source video, seconds.
        fps: Frames per second.
        joints: First frame of each of several videos but the first: cuts that are known.
    """
    num_frames = len(watched.brightness)
    found = find_cuts(watched, joints)
    cuts = [cut for cut in found if cut.frame not in joints]
    views = [cut.frame for cut in found if cut.frame in joints and not cut.same_scene]
    return VideoFacts(
        num_frames=num_frames,
        seconds=num_frames / fps,
        new_pictures_per_s=fps * (1 - float(repeats(watched).mean())),
        frozen=_times(freezes(watched), start_s, fps),
        black=_times(dark_stretches(watched), start_s, fps),
        scene_cuts=tuple(round(cut.frame / fps + start_s, 2) for cut in cuts if not cut.same_scene),
        jumps=tuple(round(cut.frame / fps + start_s, 2) for cut in cuts if cut.same_scene),
        longest_scene=_times([longest_between(cuts, num_frames)], start_s, fps)[0],
        joints=tuple(round(frame / fps, 2) for frame in joints),
        other_views=tuple(round(frame / fps, 2) for frame in views),
    )


def _tracking_facts(subject: Subject, track: TrackData, spots: Sequence[Spot], start_s: float) -> TrackingFacts:
    pose: dict[str, Any] = subject.facts("pose")
    train = [i for i in split_of(subject).train if track.valid[i]]
    return TrackingFacts(
        tracked=int(track.valid.sum()),
        interpolated=int((~track.valid).sum()),
        train_frames=len(train),
        lost=_times(stretches(~track.valid), start_s, subject.fps),
        reprojection_px=pose.get("reprojection_px_at_512"),
        flow_error_px=pose.get("flow_error_px_at_512"),
        face_height_px=face_height_px(track.landmarks),
        stored_side=max(subject.width, subject.height),
        shrunk=_shrunk(subject.facts("frames")),
        outside_share=outside_share(track.landmarks, subject.width, subject.height),
        cut_off_share=float(np.mean([spot.head_touches_top for spot in spots])),
        other_faces=tuple(round(spot.frame / subject.fps + start_s, 2) for spot in spots if spot.other_faces),
        faces_seen=int(subject.facts("frames").get("faces_seen", 1)),
        face_size=face_size(track.landmarks),
        outlines=float(np.median([spot.outlines for spot in spots])),
    )


def _shrunk(frames: dict[str, Any]) -> float:
    """Source pixels for each stored one; an imported subject has no box and was not shrunk here."""
    box = frames.get("box")
    return max(1.0, box["width"] / box["out_width"]) if box else 1.0


def _times(stretches: Sequence[Stretch], start_s: float, fps: float) -> tuple[TimeSpan, ...]:
    return tuple((round(a / fps + start_s, 2), round(b / fps + start_s, 2)) for a, b in stretches)


def _sound(subject: Subject) -> np.ndarray | None:
    try:
        return subject.audio()
    except UserError:
        return None
