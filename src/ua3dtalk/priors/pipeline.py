"""Fitting the priors to a subject, and the fitted priors as one object (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.core.provenance import software
from ua3dtalk.priors import content as content_module
from ua3dtalk.priors import emotion_teacher
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.emotion_space import EmotionSpace, extend_space
from ua3dtalk.priors.emotion_strength import look_at_labels
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.expression_shift import ExpressionShift, borrow, calm_face, fit_shift
from ua3dtalk.priors.features import EmotionRequest, PriorFeatures
from ua3dtalk.priors.fitted import FILE_NAME, Priors, subject_features
from ua3dtalk.priors.head_turn import HeadTurn, fit_head_turn
from ua3dtalk.priors.offset import correlation
from ua3dtalk.priors.person import FPS, Fold, PersonContent, make_folds
from ua3dtalk.priors.person_lips import PersonLips, fit_lips
from ua3dtalk.priors.speech_choice import CONTENT_FILE, EMOTION_FILE, chosen_files
from ua3dtalk.priors.style import (
    StyleConfig,
    StyleNet,
    fit_style,
    given_style,
    out_of_fold_style,
    style_features,
    whole_face,
)
from ua3dtalk.priors.visual_emotion import FaceEmotions
from ua3dtalk.subject.face_signals import face_signals
from ua3dtalk.subject.labels import NEUTRAL
from ua3dtalk.subject.parts import joints_of, split_of
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import Subject
from ua3dtalk.subject.track_data import NUM_LOWER, TrackData

__all__ = ["EmotionRequest", "PriorFeatures", "Priors", "PriorsConfig", "fit_priors", "subject_features"]
STAGE = "priors"
VERSION = 5
"""Of what is written; files of another one are fitted again."""
MIN_TRAIN_FRAMES = 150


@dataclass(frozen=True, kw_only=True)
class PriorsConfig:
    """How priors are fitted to a subject."""

    folds: int = 4
    """Blocks for predictions out of fold, 2 or more."""
    style: StyleConfig = field(default_factory=StyleConfig)
    """Training of the style network."""
    seed: int = 0
    """Of all randomness."""
    content_model: Path | None = None
    """Another content prior than the subject's own (see ``prepare --content-prior``), or the shipped one."""
    emotion_model: Path | None = None
    """Another emotion teacher than the subject's own, or the shipped one."""


def fit_priors(subject: Subject, config: PriorsConfig = PriorsConfig(), progress: Progress = Silent()) -> None:  # noqa: B008
    """Fit content, style and emotion to a subject and write ``priors.safetensors``.

    Everything is fitted on training frames. The stored features of training frames are predicted out of fold (four
    contiguous blocks with gaps), those of test frames by the models fitted on all training frames: an avatar trained
    on them meets errors as large as new speech will bring.

    Args:
        subject: Prepared, with its *speech* stage done.
        config: Settings.
        progress: Where to report.

    Raises:
        UserError: no speech to learn from, fewer than 150 training frames, or features of another encoder.
    """
    labels = [to_plain(span) for span in subject.labels]
    settings = {"version": VERSION, "config": _plain(config), "inputs": _inputs(subject), "labels": labels}
    if subject.stage_done(STAGE, settings):
        return
    speech, track = subject.speech(), subject.track()
    split, joints = split_of(subject), joints_of(subject)
    frames = [i for i in split.train if track.valid[i]]
    if len(frames) < MIN_TRAIN_FRAMES:
        raise UserError(
            f"{subject.folder} has {len(frames)} training frames with a face, {MIN_TRAIN_FRAMES} are needed.",
            "Use a longer video.",
        )
    own = chosen_files(subject.folder)
    content = ContentPrior.load(config.content_model or own.get(CONTENT_FILE, content_module.SHIPPED))
    teacher = EmotionTeacher.load(config.emotion_model or own.get(EMOTION_FILE, emotion_teacher.SHIPPED))
    face = np.concatenate([track.lower, track.upper], axis=1).astype(np.float32)
    folds = make_folds(frames, config.folds, joints)
    with progress.task("priors", 3) as task:
        voiced = voice_activity(speech, subject.num_frames)
        emotion = _emotion(subject, track, teacher, speech, voiced, face, frames, folds)
        task.advance(note="emotion")
        calm = face - emotion.shifts  # emotion is added again at the end, and so is what the head's turn does
        turn, turned = _turn(content, speech, track.viewmats, calm[:, :NUM_LOWER], frames, folds)
        calm[:, :NUM_LOWER] -= turned
        style = _style(content.features(speech, voiced), speech, calm, frames, folds, config)
        task.advance(note="style")
        calm_lower = np.ascontiguousarray(calm[:, :NUM_LOWER])
        person, rest, spoken = fit_lips(content, speech, calm_lower, style.lower, voiced, frames, folds, joints)
        task.advance(note="content")
    features = PriorFeatures(
        content=style.content,
        style=style.features,
        emotion=emotion.points,
        lower=spoken + turned + emotion.shifts[:, :NUM_LOWER],
        upper_offset=np.ascontiguousarray(emotion.shifts[:, NUM_LOWER:]),
        emotion_probs=emotion.probabilities,
        confidence=emotion.confidence,
        voiced=voiced,
    )
    figures = _figures(features, track.lower, frames, list(split.test)) | _settled(emotion, style, person)
    log.info(
        "priors: the mouth's opening from sound and pose, on seconds left out of the fit: r %.2f, amplitude %.2f",
        *(figures[f"out_of_fold_opening_{name}"] for name in ("r", "std_ratio")),
    )
    shift = borrow(emotion.shift, FaceEmotions.load(), track.mesh, track.mesh_basis)
    lips = PersonLips(person=person, rest=rest, turn=turn)
    priors = Priors(content, lips, style.net, teacher, emotion.space, shift, facts={
        "subject": {"source_sha256": subject.source_sha256, "frames": len(frames), "labelled": bool(subject.labels)},
        "figures": figures, "config": _plain(config), "software": software(), **_place(speech),
    })  # fmt: skip
    priors.save(subject.folder / FILE_NAME, features)
    subject.finish_stage(STAGE, [FILE_NAME], {"figures": figures}, settings)


def _turn(
    content: ContentPrior,
    speech: SpeechFeatures,
    viewmats: np.ndarray,
    lower: np.ndarray,
    frames: list[int],
    folds: Sequence[Fold],
) -> tuple[HeadTurn, Float32[np.ndarray, "t 13"]]:
    """What the lower face owes to the head's turn; training frames out of fold."""
    lips = content.predict(speech, np.arange(len(lower)) / FPS)
    return fit_head_turn(viewmats, lips, lower, frames, folds)


@dataclass
class _Emotion:
    points: np.ndarray
    probabilities: np.ndarray
    confidence: np.ndarray
    space: EmotionSpace
    shift: ExpressionShift
    shifts: Float32[np.ndarray, "t 19"]
    gain: float


@dataclass
class _Style:
    net: StyleNet
    content: np.ndarray
    features: Float32[np.ndarray, "t 64"]
    lower: Float32[np.ndarray, "t 13"]
    error_ratio: float


def _emotion(
    subject: Subject,
    track: TrackData,
    teacher: EmotionTeacher,
    speech: SpeechFeatures,
    voiced: np.ndarray,
    face: np.ndarray,
    frames: list[int],
    folds: Sequence[Fold],
) -> _Emotion:
    """Where every frame lies in the emotion space: by the user's labels if there are any, else as heard."""
    heard = teacher.hear(speech, voiced)
    space = EmotionSpace(labels=teacher.labels, points=teacher.centroids.copy())
    points, confidence = heard.embedding, heard.confidence
    probabilities, calm = heard.probabilities, None
    if subject.labels:
        space = extend_space(space, subject.labels, heard.embedding, frames)
        faces = FaceEmotions.load()
        shown = look_at_labels(subject.labels, face_signals(track.head_points), frames, faces, joints_of(subject))
        if shown.neutral is not None:
            calm = calm_face(shown.neutral, faces, track.mesh, track.mesh_basis)
        weights = space.weights(shown.request, subject.num_frames)
        points, probabilities = space.from_weights(weights), space.probabilities(weights)
        confidence = np.ones(subject.num_frames, np.float32)
    neutral = space.points[space.labels.index(NEUTRAL)]
    shift, shifts, gain = fit_shift(points, face, neutral, frames, folds, bool(subject.labels), calm)
    return _Emotion(points, probabilities, confidence, space, shift, shifts, gain)


def _style(
    content: np.ndarray,
    speech: SpeechFeatures,
    face: np.ndarray,
    frames: list[int],
    folds: Sequence[Fold],
    config: PriorsConfig,
) -> _Style:
    """Style features, training frames out of fold.

    The avatar is given them only where the whole face is predicted better with style in held-out blocks. The lips have
    a test of their own (``fit_person``): there style often helps where the whole face gains nothing.
    """

    def train(used: Sequence[int], with_style: bool) -> StyleNet:
        rng = np.random.default_rng(config.seed)
        return fit_style(speech, content, face, used, config.style, rng, with_style=with_style)

    net = train(frames, True)
    final = style_features(net, speech, len(face))
    out, predicted = final.copy(), whole_face(net, final, content)
    error = error_alone = 0.0
    for fold in folds:
        held, of_fold, alone = np.asarray(fold.held), train(fold.fit, True), train(fold.fit, False)
        raw = style_features(of_fold, speech, len(face))
        out[held] = out_of_fold_style(final, raw, fold)
        predicted[held] = whole_face(of_fold, raw, content)[held]
        error += float(np.abs(predicted[held] - face[held]).sum())
        error_alone += float(np.abs(whole_face(alone, raw, content)[held] - face[held]).sum())
    ratio = error / max(error_alone, 1e-9)
    net.used.fill_(float(ratio < 1))
    return _Style(net, content, given_style(net, out), np.ascontiguousarray(predicted[:, :NUM_LOWER]), ratio)


def _figures(features: PriorFeatures, lower: np.ndarray, train: list[int], test: list[int]) -> dict[str, float]:
    """How well the lower face is predicted: opening (last coefficient), first component, explained variance."""
    found = {}
    for name, frames in (("out_of_fold", train), ("test", test)):
        p, y = features.lower[frames], lower[frames]
        found |= {
            f"{name}_opening_r": correlation(p[:, -1], y[:, -1]),
            f"{name}_opening_std_ratio": float(p[:, -1].std() / max(float(y[:, -1].std()), 1e-6)),
            f"{name}_first_component_r": correlation(p[:, 0], y[:, 0]),
        }
    return {name: round(value, 3) for name, value in found.items()}


def _settled(emotion: _Emotion, style: _Style, person: PersonContent) -> dict[str, float]:
    """What was chosen out of fold."""
    return {
        "emotion_variance_explained": round(emotion.gain, 3),
        "style_error_ratio": round(style.error_ratio, 3),
        "penalty_opening": float(person.penalty[-1]),
        "style_used": bool(style.net.used),
        "style_share": float(person.style_share[0]),
        "gain_opening": round(float(person.gain[-1, -1]), 3),
    }


def _place(speech: SpeechFeatures) -> dict[str, str]:
    """Where the encoder's speech model is, if it has one."""
    return {} if speech.model is None else {"speech_model": speech.model}


def _plain(config: PriorsConfig) -> dict[str, Any]:
    models = {
        name: path and str(path)
        for name, path in (("content_model", config.content_model), ("emotion_model", config.emotion_model))
    }
    return to_plain(config) | models


def _inputs(subject: Subject) -> dict[str, str]:
    """Hashes of what the fit depends on.

    Raises:
        UserError: there is no speech.
    """
    speech = subject.folder / "speech.npz"
    if not speech.is_file():
        raise UserError(f"{subject.folder} has no speech to learn from.", "Use a video in which the person speaks.")
    names = ("speech.npz", "track.npz", *chosen_files(subject.folder))
    return {name: file_sha256(subject.folder / name) for name in names}
