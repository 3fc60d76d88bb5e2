"""Avatar to report: the rows and the protocols."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.pose_loop import torso_over
from ua3dtalk.priors.pipeline import subject_features
from ua3dtalk.recipes.train import PRIORS_FILE, conditions
from ua3dtalk.subject.store import Subject

FrameSource = Callable[[int], np.ndarray]


def protocol_rows(avatar: Avatar, subject: Subject, viewmats: np.ndarray) -> dict[str, tuple[ConditionTrack, str]]:
    """Conditions and motion kind of every rendered row.

    - *static*: motion off, the true pose.
    - *expression*: the tracked expression of the test frames: what the avatar could do with perfect speech.
    - *driven*: mouth from the sound, true pose and upper-face signals.
    - *audio-only*: nothing of the test frames but sound and pose.
    """
    track = subject.track()
    features = subject_features(subject.folder / PRIORS_FILE)
    resting = features.upper_offset + np.zeros_like(track.upper)
    make = lambda lower, upper: conditions(subject, track, features, lower, upper)  # noqa: E731
    return {
        "static": (make(track.lower, track.upper), "none"),
        "expression": (make(track.lower, track.upper), "full"),
        "driven": (make(features.lower, track.upper), "full"),
        "audio-only": (make(features.lower, resting.astype(np.float32)), "full"),
    }


def frame_source(
    avatar: Avatar, subject: Subject, viewmats: np.ndarray, track: ConditionTrack, motion: str
) -> FrameSource:
    """Renders frame ``i`` of the subject, over its own torso layer."""
    background = subject.background()

    def render(i: int) -> np.ndarray:
        behind = torso_over(subject.torso(i), background)
        return avatar.render_over(track.frame(i), viewmats[i], behind, motion=motion).image

    return render
