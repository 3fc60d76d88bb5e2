"""One person's lower face: what speech makes of it, silence, and the head's turn (DESIGN §6). T frames at 25 fps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.head_turn import HeadTurn
from ua3dtalk.priors.person import Fold, PersonContent, fit_person, predict_person
from ua3dtalk.priors.silence import close_in_silence, rest_pose
from ua3dtalk.subject.speech_data import SpeechFeatures


@dataclass(frozen=True, kw_only=True)
class PersonLips:
    """How a person's lower face is made."""

    person: PersonContent
    """From phones."""
    rest: Float32[np.ndarray, " 13"]
    """Where nobody speaks."""
    turn: HeadTurn
    """What the head's turn adds."""

    def lower(
        self,
        prior: ContentPrior,
        speech: SpeechFeatures,
        by_style: Float32[np.ndarray, "t 13"],
        voiced: Float32[np.ndarray, " t"],
        viewmats: Float[np.ndarray, "t 4 4"] | None = None,
    ) -> Float32[np.ndarray, "t 13"]:
        """Lower-face coefficients, without the emotion's share.

        Args:
            prior: What the person was fitted with.
            speech: In the picture's time.
            by_style: The style network's lower face.
            voiced: How much speech is heard, 0..1.
            viewmats: Poses, world to camera; None for the usual one.
        """
        spoken = close_in_silence(predict_person(self.person, prior, speech, by_style), voiced, self.rest)
        return spoken if viewmats is None else spoken + self.turn.lower(viewmats)


def fit_lips(
    content: ContentPrior,
    speech: SpeechFeatures,
    lower: Float32[np.ndarray, "t 13"],
    by_style: Float32[np.ndarray, "t 13"],
    voiced: Float32[np.ndarray, " t"],
    frames: Sequence[int],
    folds: Sequence[Fold],
    joints: Sequence[int],
) -> tuple[PersonContent, Float32[np.ndarray, " 13"], Float32[np.ndarray, "t 13"]]:
    """A person's content and resting pose, and the lower face that they make; training frames out of fold.

    Args:
        content: Speaker-independent content prior.
        speech: Of the whole video, in the picture's time.
        lower: Targets, without the emotion's share and the turn's.
        by_style: The style network's lower face; out of fold where ``frames`` are.
        voiced: How much speech is heard, 0..1.
        frames: Training frames.
        folds: Blocks of them.
        joints: First frame of each recording but the first.
    """
    person, held_out = fit_person(content, speech, lower, by_style, frames, folds)
    predicted = predict_person(person, content, speech, by_style)
    predicted[np.asarray(frames)] = held_out
    rest = rest_pose(lower, voiced, frames, joints)
    closed = close_in_silence(predicted, voiced, rest, joints)
    for fold in folds:  # each block's rest from the others
        held = np.asarray(fold.held)
        of_fold = rest_pose(lower, voiced, fold.fit, joints)
        closed[held] = close_in_silence(predicted, voiced, of_fold, joints)[held]
    return person, rest, closed
