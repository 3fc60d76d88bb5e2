"""How emotion moves this person's face on average: a small ridge from the emotion to lower and upper signals, and what
other people lend for emotions that this person never showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.priors.features import EmotionMix
from ua3dtalk.priors.person import Fold
from ua3dtalk.priors.visual_emotion import FaceEmotions
from ua3dtalk.subject.face_signals import FACE_SIGNALS, face_signals

NUM_SIGNALS = 19
DIRECTIONS = 4
MIN_GAIN = 0.02
PLAUSIBLE = 2.0
"""Standard deviation of lent coefficients beforehand, in the subject's own."""
OF_SPEECH = ("opening", "AU26")
"""Lips and jaw are opened by speech: an emotion that is lent must not."""


@dataclass(frozen=True, kw_only=True)
class ExpressionShift:
    """Affine map from the emotion space to mean shifts of (lower, upper); zero at neutral. B lent emotions."""

    weights: Float32[np.ndarray, "128 19"]
    """Shift per unit of the emotion space."""
    neutral: Float32[np.ndarray, " 128"]
    """Where the shift is zero."""
    lent: Float32[np.ndarray, "b 19"]
    """What other people do in emotions, in this person's signals."""
    lent_labels: tuple[str, ...]
    """Those emotions."""

    def shift(self, points: Float32[np.ndarray, "t 128"]) -> Float32[np.ndarray, "t 19"]:
        """Shifts of 13 lower and 6 upper signals."""
        return ((points - self.neutral) @ self.weights).astype(np.float32)

    def lend(self, mix: EmotionMix) -> Float32[np.ndarray, "t 19"]:
        """Shifts of lent emotions; every label must be one of ``lent_labels``."""
        rows = [self.lent_labels.index(name) for name in mix.labels]
        return (mix.strengths @ self.lent[rows]).astype(np.float32)


def no_shift(neutral: Float32[np.ndarray, " 128"]) -> ExpressionShift:
    """Emotion does not move the face."""
    return _shift(np.zeros((len(neutral), NUM_SIGNALS), np.float32), neutral)


def _shift(weights: Float32[np.ndarray, "128 19"], neutral: Float32[np.ndarray, " 128"]) -> ExpressionShift:
    return ExpressionShift(
        weights=weights, neutral=neutral, lent=np.zeros((0, NUM_SIGNALS), np.float32), lent_labels=()
    )


def borrow(
    shift: ExpressionShift,
    emotions: FaceEmotions,
    mesh: Float[np.ndarray, "p 3"],
    mesh_basis: Float[np.ndarray, "19 p 3"],
) -> ExpressionShift:
    """Add what other people's emotions would do to this face.

    For each emotion the coefficients are sought that move this mesh's signals as far as that emotion moves those of
    others: the maximum a posteriori under small coefficients, each signal as exact as people differ in it.

    Args:
        shift: The person's own.
        emotions: How emotions move faces.
        mesh: The person's mean mesh, head frame.
        mesh_basis: Motion of the mesh per unit of lower and upper signals.
    """
    free = np.array([name not in OF_SPEECH for name in FACE_SIGNALS])
    wanted = np.stack([np.where(free, emotions.mean_shift(name), 0.0) for name in emotions.lendable])
    lent = coefficients(wanted, emotions, mesh, mesh_basis)
    return replace(shift, lent=lent.astype(np.float32), lent_labels=emotions.lendable)


def calm_face(
    neutral: Float[np.ndarray, " 16"],
    emotions: FaceEmotions,
    mesh: Float[np.ndarray, "p 3"],
    mesh_basis: Float[np.ndarray, "19 p 3"],
) -> Float[np.ndarray, " 19"]:
    """Lower and upper signals of a face whose face signals are ``neutral``; other arguments as in ``borrow``."""
    return coefficients((neutral - face_signals(mesh[None])[0])[None], emotions, mesh, mesh_basis)[0]


def coefficients(
    wanted: Float[np.ndarray, "b 16"],
    emotions: FaceEmotions,
    mesh: Float[np.ndarray, "p 3"],
    mesh_basis: Float[np.ndarray, "19 p 3"],
) -> Float[np.ndarray, "b 19"]:
    """Lower and upper signals that move the mesh's face signals by what is wanted: see ``borrow``."""
    rest = face_signals(mesh[None])[0]
    jacobian = np.stack([face_signals((mesh + step)[None])[0] - rest for step in mesh_basis], axis=1)  # [16, 19]
    spread = np.sqrt(np.diag(emotions.anatomy))
    design = jacobian / spread[:, None]
    gram = design.T @ design + np.eye(NUM_SIGNALS) / PLAUSIBLE**2
    return np.linalg.solve(gram, design.T @ (wanted / spread).T).T


def fit_shift(
    points: Float32[np.ndarray, "t 128"],
    face: Float32[np.ndarray, "t 19"],
    neutral: Float32[np.ndarray, " 128"],
    frames: Sequence[int],
    folds: Sequence[Fold],
    labelled: bool,
    calm: Float[np.ndarray, " 19"] | None = None,
) -> tuple[ExpressionShift, Float32[np.ndarray, "t 19"], float]:
    """Learn the shifts on training frames.

    Args:
        points: Emotion of all T frames in the emotion space.
        face: Lower and upper signals of all T frames.
        neutral: The neutral point.
        frames: Training frames.
        folds: Blocks of ``frames``.
        labelled: The user named the emotions: the map is trusted and fitted with little shrinkage. Without labels it
            must explain at least 2 % of the variance out of fold, else the shift is zero.
        calm: The face at neutral, where no frame shows it; else it is fitted.

    Returns:
        The map, the shift of all frames (training frames out of fold unless labelled), and the share of variance
        explained.
    """
    used = np.asarray(frames)
    spread = float(np.square(points[used] - points[used].mean(axis=0)).sum(axis=1).mean())
    zero = no_shift(neutral)
    if spread < 1e-6:
        return zero, np.zeros_like(face), 0.0
    final = _fit(points[used], face[used], neutral, labelled, calm)
    out = final.shift(points)
    if not labelled:
        for fold in folds:
            fit, held = np.asarray(fold.fit), np.asarray(fold.held)
            out[held] = _fit(points[fit], face[fit], neutral, labelled, calm).shift(points[held])
    centred, mean = face[used] - face[used].mean(axis=0), out[used].mean(axis=0)
    gain = 1 - float(((centred - out[used] + mean) ** 2).sum() / (centred**2).sum())
    if gain < MIN_GAIN and not labelled:
        return zero, np.zeros_like(face), gain
    return final, out, gain


def _fit(
    points: np.ndarray, face: np.ndarray, neutral: np.ndarray, labelled: bool, calm: np.ndarray | None
) -> ExpressionShift:
    """Ridge on the leading directions of the emotion; the constant is the face at neutral, unless that is known."""
    away = points - neutral
    count = min(len(np.unique(away.round(4), axis=0)), 12) if labelled else DIRECTIONS
    basis = np.linalg.svd(away, full_matrices=False)[2][:count]  # [k, 128]
    code = away @ basis.T
    constant = np.ones((len(code), 1 if calm is None else 0))
    design = np.concatenate([code, constant], axis=1)
    strength = (0.01 if labelled else 0.5) * len(code) * float((code**2).mean())
    ridge = np.diag(np.r_[np.full(len(basis), strength), np.full(constant.shape[1], 1e-6 * len(code))])
    solved = np.linalg.solve(design.T @ design + ridge, design.T @ (face if calm is None else face - calm))
    return _shift((basis.T @ solved[: len(basis)]).astype(np.float32), neutral)
