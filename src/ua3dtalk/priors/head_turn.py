"""How a person's lower face goes with the head's turn, as the tracker sees it: what no sound can know (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation

from ua3dtalk.priors.person import Fold
from ua3dtalk.subject.track_data import NUM_LOWER

DOUBT = 0.1
"""Ridge penalty of turns and lips, as a share of their sums of squares."""


@dataclass(frozen=True, kw_only=True)
class HeadTurn:
    """A linear map from the head's turn to the lower face."""

    mean: Float32[np.ndarray, "3 3"]
    """Mean rotation of the training frames, world to camera."""
    limits: Float32[np.ndarray, "2 3"]
    """Least and largest turn of the training frames, radians about each axis of the camera: no turn counts beyond."""
    weights: Float32[np.ndarray, "3 13"]
    """Lower face per radian; zeros where the turn says nothing."""

    def lower(self, viewmats: Float[np.ndarray, "t 4 4"]) -> Float32[np.ndarray, "t 13"]:
        """What to add to the lower face at these poses."""
        return _bounded(_turns(viewmats, self.mean), self.limits) @ self.weights


def no_turn() -> HeadTurn:
    """The map that adds nothing."""
    return HeadTurn(
        mean=np.eye(3, dtype=np.float32),
        limits=np.zeros((2, 3), np.float32),
        weights=np.zeros((3, NUM_LOWER), np.float32),
    )


def fit_head_turn(
    viewmats: Float[np.ndarray, "t 4 4"],
    lips: Float32[np.ndarray, "t 14"],
    lower: Float32[np.ndarray, "t 13"],
    frames: Sequence[int],
    folds: Sequence[Fold],
) -> tuple[HeadTurn, Float32[np.ndarray, "t 13"]]:
    """Learn on training frames what the lower face owes to the head's turn, beside speech.

    Tracked lips drift with the head: by soft tissue and by what the tracker's perspective leaves over. On `lieu` a
    quarter of the lower face's motion is the head's, nearly all of it below 1 Hz. Left in the targets it is noise to
    whatever learns from sound; and where the head's pose is known, as in every picture that is drawn, it need not be
    guessed. Each coefficient gets the share of the map that is right in held-out blocks, 0 to 1.

    Args:
        viewmats: Poses of all T frames, world to camera.
        lips: The average speaker's lips: what goes with speech is not laid to the head.
        lower: Targets of all T frames; only those in ``frames`` are looked at.
        frames: Training frames.
        folds: Blocks of ``frames``.

    Returns:
        The map, and what it makes of all frames; of training frames, each block by the others.
    """
    mean = Rotation.from_matrix(viewmats[np.asarray(frames), :3, :3]).mean().as_matrix().astype(np.float32)
    turns = _turns(viewmats, mean)
    whole, limits = _fit(turns, lips, lower, frames)
    made = _bounded(turns, limits) @ whole
    for fold in folds:
        of_fold, seen = _fit(turns, lips, lower, fold.fit)
        held = np.asarray(fold.held)
        made[held] = _bounded(turns[held], seen) @ of_fold
    share = _share(made, lower, folds)
    return HeadTurn(mean=mean, limits=limits, weights=whole * share), made * share


def _turns(viewmats: np.ndarray, mean: np.ndarray) -> Float32[np.ndarray, "t 3"]:
    """Rotation vectors from the mean, radians."""
    turned = Rotation.from_matrix(viewmats[:, :3, :3]) * Rotation.from_matrix(mean).inv()
    return turned.as_rotvec().astype(np.float32)


def _bounded(turns: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return np.clip(turns, limits[0], limits[1])


def _fit(
    turns: np.ndarray, lips: np.ndarray, lower: np.ndarray, frames: Sequence[int]
) -> tuple[Float32[np.ndarray, "3 13"], Float32[np.ndarray, "2 3"]]:
    """Slopes from a ridge on turns and lips together, and the range of turns that was seen."""
    used = np.asarray(frames)
    design = np.concatenate([turns[used], lips[used]], axis=1).astype(np.float64)
    design -= design.mean(axis=0)
    gram = design.T @ design
    ridge = np.diag(DOUBT * np.diag(gram) + 1e-9)
    slopes = np.linalg.solve(gram + ridge, design.T @ (lower[used] - lower[used].mean(axis=0)))[:3]
    return slopes.astype(np.float32), np.stack([turns[used].min(axis=0), turns[used].max(axis=0)])


def _share(made: np.ndarray, lower: np.ndarray, folds: Sequence[Fold]) -> Float32[np.ndarray, " 13"]:
    """Slope of the truth over what was made of held-out blocks, about each block's mean, 0 to 1."""
    both = square = np.zeros(NUM_LOWER)
    for fold in folds:
        held = np.asarray(fold.held)
        a, b = made[held] - made[held].mean(axis=0), lower[held] - lower[held].mean(axis=0)
        both, square = both + (a * b).sum(axis=0), square + (a * a).sum(axis=0)
    return np.clip(both / np.maximum(square, 1e-9), 0, 1).astype(np.float32)
