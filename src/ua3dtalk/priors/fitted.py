"""The priors fitted to one person: from any speech to features for every video frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ua3dtalk.core.checkpoint import load_into, load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import log
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.emotion_space import Askable, EmotionSpace
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.expression_shift import ExpressionShift
from ua3dtalk.priors.features import EmotionMix, EmotionRequest, PriorFeatures
from ua3dtalk.priors.head_turn import HeadTurn, no_turn
from ua3dtalk.priors.person import PersonContent
from ua3dtalk.priors.person_lips import PersonLips
from ua3dtalk.priors.style import StyleNet, given_style, style_features, whole_face
from ua3dtalk.subject.labels import NEUTRAL
from ua3dtalk.subject.speech_data import SpeechFeatures, extends
from ua3dtalk.subject.track_data import NUM_LOWER

KIND = "priors"
FILE_NAME = "priors.safetensors"
_GROUPS = ("content", "person", "style", "emotion", "space", "shift", "rest", "turn")


class Priors:
    """Content, style and emotion of one person, self-contained.

    Args:
        content: Speaker-independent content prior.
        lips: The person's lower face.
        style: The person's style network.
        teacher: Emotion teacher.
        space: Emotion space, with the subject's own labels.
        shift: How emotion moves the face.
        facts: Where all this comes from, and figures; JSON values.
    """

    def __init__(
        self,
        content: ContentPrior,
        lips: PersonLips,
        style: StyleNet,
        teacher: EmotionTeacher,
        space: EmotionSpace,
        shift: ExpressionShift,
        *,
        facts: dict[str, Any],
    ) -> None:
        self.content = content
        self.lips = lips
        self.style = style.eval()
        self.teacher = teacher
        self.space = space
        self.shift = shift
        self.facts = facts

    @property
    def encoder(self) -> str:
        """Speech encoder that everything was trained with."""
        return self.content.encoder

    @property
    def model(self) -> str | None:
        """Where the encoder's speech model was found; None for the default encoder."""
        place = self.facts.get("speech_model")
        return None if place is None else str(place)

    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions of the columns of ``PriorFeatures.emotion_probs``."""
        return self.space.labels

    @property
    def askable(self) -> Askable:
        """Emotions that can be asked for."""
        return Askable(shown=self.space.shown, lent=self.shift.lent_labels)

    def features(
        self,
        speech: SpeechFeatures,
        num_frames: int,
        emotion: EmotionRequest | EmotionMix | None = None,
        viewmats: Float[np.ndarray, "t 4 4"] | None = None,
    ) -> PriorFeatures:
        """Features of new speech at 25 fps.

        Args:
            speech: From the same encoder.
            num_frames: T.
            emotion: What to show; None takes it from the sound.
            viewmats: Poses of the T frames, world to camera; None for the usual one.

        Raises:
            UserError: another encoder, or an emotion that the subject never showed (see ``Askable.find``).
        """
        if speech.encoder != self.encoder:
            raise UserError(
                f"The speech features come from {speech.encoder!r}, the priors from {self.encoder!r}.",
                "Use the encoder that the subject was prepared with, or prepare it again.",
            )
        voiced = voice_activity(speech, num_frames)
        lent: Float32[np.ndarray, "t 19"] | float = 0.0
        if emotion is None:
            heard = self.teacher.hear(speech, voiced)
            points, confidence = heard.embedding, heard.confidence
            new = len(self.space.labels) - len(self.teacher.labels)
            probabilities = np.pad(heard.probabilities, ((0, 0), (0, new)))
        else:
            own, borrowed = self.divide(emotion.mix(num_frames))
            weights, lent = self.space.weights(own, num_frames), self.shift.lend(borrowed)
            points, probabilities = self.space.from_weights(weights), self.space.probabilities(weights)
            confidence = np.ones(num_frames, np.float32)
        shifts = self.shift.shift(points) + lent
        content = self.content.features(speech, voiced)
        style = style_features(self.style, speech, num_frames)
        by_style = np.ascontiguousarray(whole_face(self.style, style, content)[:, :NUM_LOWER])
        lower = self.lips.lower(self.content, speech, by_style, voiced, viewmats)
        return PriorFeatures(
            content=content,
            style=given_style(self.style, style),
            emotion=points,
            lower=lower + shifts[:, :NUM_LOWER],
            upper_offset=np.ascontiguousarray(shifts[:, NUM_LOWER:]),
            emotion_probs=probabilities,
            confidence=confidence,
            voiced=voiced,
        )

    def divide(self, mix: EmotionMix) -> tuple[EmotionMix, EmotionMix]:
        """What the subject can show itself, and what must be lent.

        A lent emotion leaves the emotion stream at neutral, which the avatar knows, and moves the mesh alone.

        Raises:
            UserError: see ``Askable.find``.
        """
        names = [self.askable.find(name, mix.extrapolate) for name in mix.labels]
        own = [k for k, name in enumerate(names) if name in self.askable.own]
        lent = [k for k in range(len(names)) if k not in own]
        parts = [EmotionMix(tuple(names[k] for k in part), mix.strengths[:, part]) for part in (own, lent)]
        neutral = EmotionMix((NEUTRAL,), np.zeros((len(mix.strengths), 1), np.float32))
        return parts[0] if own else neutral, parts[1]

    # --- storage -------------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name, ``group.name``."""
        numpy = {
            "person.weights": self.lips.person.weights,
            "person.gain": self.lips.person.gain,
            "person.centre": self.lips.person.centre,
            "person.penalty": self.lips.person.penalty,
            "person.style_share": self.lips.person.style_share,
            "rest.lower": self.lips.rest,
            "space.points": self.space.points,
            "shift.weights": self.shift.weights,
            "shift.neutral": self.shift.neutral,
            "shift.lent": self.shift.lent,
            "turn.mean": self.lips.turn.mean,
            "turn.limits": self.lips.turn.limits,
            "turn.weights": self.lips.turn.weights,
        }
        found = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in numpy.items()}
        found |= {f"content.{name}": tensor for name, tensor in self.content.tensors().items()}
        found |= {f"style.{name}": tensor for name, tensor in self.style.state_dict().items()}
        return found | {f"emotion.{name}": tensor for name, tensor in self.teacher.tensors().items()}

    @property
    def header(self) -> dict[str, Any]:
        """Encoder, labels, what each part was trained on, figures; JSON values."""
        return {
            "encoder": self.encoder,
            "labels": list(self.space.labels),
            "shown": list(self.space.shown),
            "lent": list(self.shift.lent_labels),
            "content": self.content.facts,
            "emotion": self.teacher.header(),
            "facts": self.facts,
        }

    def save(self, path: Path, features: PriorFeatures | None = None) -> None:
        """Write a safetensors file, with the features of the subject's own frames if given."""
        tensors = self.tensors()
        if features is not None:
            tensors |= {
                f"features.{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in features.arrays().items()
            }
        save_tensors(path, tensors, kind=KIND, header=self.header)

    @staticmethod
    def load(path: Path) -> Priors:
        """Read what ``save`` wrote.

        Raises:
            UserError: missing, damaged, altered, incomplete, or parts of different encoders.
        """
        tensors, header = load_tensors(path, kind=KIND)
        return Priors.from_tensors(tensors, header, str(path))

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor], header: dict[str, Any], where: str) -> Priors:
        """The inverse of ``tensors`` and ``header``.

        Raises:
            UserError: incomplete, or parts of different encoders.
        """
        parts: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            if group in parts:
                parts[group][rest] = tensor
        try:
            if not extends(header["encoder"], header["emotion"]["encoder"]):
                raise UserError(
                    f"{where} mixes encoders {header['encoder']!r} and {header['emotion']['encoder']!r}.",
                    "Fit the priors again.",
                )
            person = {name: tensor.numpy() for name, tensor in parts["person"].items()}
            shift = {name: tensor.numpy() for name, tensor in parts["shift"].items()}
            style = StyleNet()
            load_into(style, parts["style"], where)
            return Priors(
                ContentPrior.from_tensors(parts["content"], header["encoder"], header["content"]),
                PersonLips(
                    person=PersonContent(**person),
                    rest=parts["rest"]["lower"].numpy(),
                    turn=_turn_of(parts["turn"], where),
                ),
                style,
                EmotionTeacher.from_tensors(parts["emotion"], header["emotion"], where),
                EmotionSpace(
                    labels=tuple(header["labels"]),
                    points=parts["space"]["points"].numpy(),
                    shown=tuple(header["shown"]),
                ),
                ExpressionShift(**shift, lent_labels=tuple(header["lent"])),
                facts=header["facts"],
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"{where} is incomplete ({error}).", "Fit the priors again.") from error


def _turn_of(tensors: dict[str, Tensor], where: str) -> HeadTurn:
    """The map of the head's turn; files of version 3 have none, and what was trained on them expects none."""
    if not tensors:
        log.info("%s is of an older version: its lips do not go with the head's turn until it is trained again.", where)
        return no_turn()
    return HeadTurn(**{name: tensor.numpy() for name, tensor in tensors.items()})


def subject_features(path: Path) -> PriorFeatures:
    """The stored features of a subject's own frames: training frames out of fold, test frames predicted.

    Args:
        path: ``priors.safetensors``, or the subject folder.

    Raises:
        UserError: missing, damaged, altered, or without features.
    """
    path = path / FILE_NAME if path.is_dir() else path
    tensors, _ = load_tensors(path, kind=KIND)
    stored = {name.removeprefix("features."): t.numpy() for name, t in tensors.items() if name.startswith("features.")}
    try:
        return PriorFeatures(**stored)
    except TypeError as error:
        raise UserError(f"{path} holds no features of a subject ({error}).", "Fit the priors again.") from error
