"""Avatar to report: which conditions stand behind each row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.pose_loop import torso_over
from ua3dtalk.avatar.storage import load_avatar, load_poses, read_index
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.core.sequence import pieces
from ua3dtalk.evaluation.image import through_jpeg
from ua3dtalk.evaluation.protocol import Reference
from ua3dtalk.evaluation.report import ReportInputs, write_report
from ua3dtalk.priors.pipeline import subject_features
from ua3dtalk.recipes.measures import MeasureOptions, all_meters, emotion_meter
from ua3dtalk.recipes.speed import measure_speed
from ua3dtalk.recipes.train import conditions
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.parts import joints_of, sound_offset_frames, split_of
from ua3dtalk.subject.store import SAMPLE_RATE_HZ, Subject
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks

FrameSource = Callable[[int], np.ndarray]
UNCERTAIN_ROWS = ("driven", "audio-only")


def evaluate_avatar(
    avatar: Path,
    out: Path,
    *,
    subject: Path | None = None,
    options: MeasureOptions | None = None,
    speech_encoder: str | None = None,
    device: torch.device | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score an avatar on the held-out frames of its subject, and write the report.

    Args:
        avatar: Avatar folder.
        out: Report folder: ``metrics.json``, ``index.html``, ``sheet.jpg``, ``side_by_side.mp4``.
        subject: Subject folder; None is where the avatar was trained from.
        options: Weights that some metrics need.
        speech_encoder: ``MODEL[:LAYER]``, where the avatar's speech model lies if it has moved.
        device: Where to render; None is the CPU.
        seed: Seed of the bootstrap intervals.
        progress: Where to report.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: avatar or subject is missing or damaged, or they do not belong together.
    """
    index = read_index(avatar)
    opened = Subject.open(subject or Path(index["subject_folder"]))
    if opened.source_sha256 != index["subject_sha256"]:
        raise UserError(f"{opened.folder} is not the subject that {avatar} was trained on.", "Give its --subject.")
    target = device or torch.device("cpu")
    rasterizer = make_rasterizer(target)
    loaded = load_avatar(avatar, rasterizer, target, exact=True)
    viewmats = load_poses(avatar)
    frames = split_of(opened).test
    sources: dict[str, FrameSource] = {"real": lambda i: through_jpeg(opened.frame(i))}
    doubts: dict[str, Callable[[int], float]] = {}
    for name, (track, motion) in protocol_rows(opened, avatar / "priors.safetensors").items():
        row = RenderedRow(loaded, opened, viewmats, track, motion, want_maps=name in UNCERTAIN_ROWS)
        sources[name] = row.picture
        if name in UNCERTAIN_ROWS:
            doubts[name] = row.expected_error
    sound = held_out_sound(opened, frames)
    sources["static"](frames.start)  # the kernels' first run is not the avatar's speed
    inputs = ReportInputs(
        reference=Reference(frames=frames, picture=opened.frame, parsing=lambda i, *_: opened.parsing(i)),
        rows=sources,
        make_detector=FaceMeshLandmarks,
        audio=sound,
        meters=all_meters(lambda row: sound, options or MeasureOptions(), emotion_meter(opened, frames)),
        uncertainty=doubts,
        speed=None if sound is None else measure_speed(load_avatar(avatar, rasterizer, target), sound, speech_encoder),
        facts={
            "avatar": str(avatar),
            "subject": opened.source.name,
            "subject_sha256": index["subject_sha256"],
            "backend": loaded.rasterizer.name,
            "preset": index["config"]["preset"],
            "poses": "tracked, then refined on the upper head above the tip of the nose; test frames too",
            "behind the head": "the subject's own torso layer and background plate of each frame",
            "gaussians": index["gaussians"],
        },
        seed=seed,
    )
    return write_report(out, inputs, progress or Silent())


def held_out_sound(subject: Subject, frames: range) -> np.ndarray | None:
    """The sound of the held-out frames, moved onto the picture's time axis as the features were."""
    if not subject.has_audio:
        return None
    offset = sound_offset_frames(subject, frames.start)
    video = next(one for one in pieces(subject.num_frames, joints_of(subject)) if frames.start in one)
    start, stop = (round(i / subject.fps * SAMPLE_RATE_HZ) for i in (video.start, video.stop))
    samples = subject.audio()[start:stop]
    first = round((frames.start - video.start + offset) / subject.fps * SAMPLE_RATE_HZ)
    last = first + round(len(frames) / subject.fps * SAMPLE_RATE_HZ)
    padded = np.pad(samples, (max(-first, 0), max(last - len(samples), 0)))
    return padded[max(first, 0) : max(first, 0) + last - first]


def protocol_rows(subject: Subject, priors: Path) -> dict[str, tuple[ConditionTrack, str]]:
    """Conditions and kind of motion of every rendered row.

    - *static*: motion off, the true pose.
    - *expression*: the tracked expression of the test frames: what the avatar could do with perfect speech.
    - *driven*: mouth from the sound, true pose and upper-face signals.
    - *audio-only*: nothing of the test frames but sound and pose.

    Args:
        subject: Whose frames.
        priors: The avatar's priors: their stored features of these frames.
    """
    track = subject.track()
    features = subject_features(priors)
    resting = np.zeros_like(track.upper) + features.upper_offset

    def make(lower: np.ndarray, upper: np.ndarray) -> ConditionTrack:
        return conditions(subject, features, lower, upper)

    return {
        "static": (make(track.lower, track.upper), "none"),
        "expression": (make(track.lower, track.upper), "full"),
        "driven": (make(features.lower, track.upper), "full"),
        "audio-only": (make(features.lower, resting), "full"),
    }


class RenderedRow:
    """Renders the frames of one row, and remembers the error expected of the last one.

    Args:
        avatar: Who is rendered.
        subject: Whose torso and background stand behind.
        viewmats: Poses of all frames.
        track: Conditions of all frames.
        motion: As in ``Avatar.render_over``.
        want_maps: Whether a forecast is wanted.
    """

    def __init__(
        self,
        avatar: Avatar,
        subject: Subject,
        viewmats: np.ndarray,
        track: ConditionTrack,
        motion: str,
        want_maps: bool,
    ) -> None:
        self._avatar, self._subject, self._viewmats = avatar, subject, viewmats
        self._track, self._motion, self._want_maps = track, motion, want_maps
        self._background = subject.background()
        self._last: tuple[int, float] = (-1, float("nan"))

    def picture(self, i: int) -> np.ndarray:
        """Frame ``i``, uint8 RGB."""
        behind = torso_over(self._subject.torso(i), self._background)
        frame = self._avatar.render_over(
            self._track.frame(i), self._viewmats[i], behind, want_maps=self._want_maps, motion=self._motion
        )
        self._last = (i, float("nan") if frame.forecast is None else frame.forecast.head)
        return frame.image

    def expected_error(self, i: int) -> float:
        """Error expected of frame ``i``, which must be the one rendered last; NaN without a forecast."""
        if self._last[0] != i:
            raise ValueError(f"Frame {i} was not the last one rendered ({self._last[0]}).")
        return self._last[1]
