"""This person's content: ridge from phones to the lower face, shrunk towards the average speaker (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.core.sequence import pieces
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.context import apply_to_context, phone_context
from ua3dtalk.priors.offset import correlation
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.track_data import NUM_LOWER

FPS = 25.0
FOLD_GAP = 16
MIX = 0.5
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
START_PENALTY = 1.0
"""Of the average speaker's standardised lips, per frame: half of what a single one would get is given away."""
GAIN_CAP = 2.0
WEAK_R = 0.3
OPENING_COLUMN = NUM_LOWER - 1


@dataclass(frozen=True, kw_only=True)
class PersonContent:
    """Fitted weights and what was measured out of fold."""

    weights: Float32[np.ndarray, "c 13"]
    """From ``phone_context`` to ``TrackData.lower``, before the gain."""
    gain: Float32[np.ndarray, "13 13"]
    """Correction of amplitude and agreement with the opening, about ``centre``: rows in, columns out."""
    centre: Float32[np.ndarray, " 13"]
    """Mean of the training targets."""
    penalty: Float32[np.ndarray, " 13"]
    """Chosen ridge penalty of each coefficient."""
    style_share: Float32[np.ndarray, " 1"]
    """Share of the style network's lower face in the prediction, 0 or 0.5."""


@dataclass(frozen=True)
class Fold:
    """One block of held-out training frames."""

    fit: Sequence[int]
    """Frames to fit on; at least 16 frames away from the block."""
    held: Sequence[int]
    """The block."""


def make_folds(frames: Sequence[int], count: int = 4, joints: Sequence[int] = ()) -> list[Fold]:
    """Contiguous blocks that cover ``frames``, each with a gap of one audio window.

    Of several videos, a fold holds out one block of each: what only one of them shows is learnt in every fold.

    Args:
        frames: Ascending.
        count: How many folds.
        joints: First frame of each video but the first.

    Raises:
        ValueError: too few frames.
    """
    borders = np.searchsorted(frames, joints).tolist()
    videos = [_blocks(frames[own.start : own.stop], count) for own in pieces(len(frames), borders)]
    folds = []
    for k in range(count):
        fits, helds = zip(*(blocks[k] for blocks in videos), strict=True)
        fold = Fold(list(chain(*fits)), list(chain(*helds)))
        if not len(fold.held) or not len(fold.fit):
            raise ValueError(f"{len(frames)} frames are too few for {count} folds.")
        folds.append(fold)
    return folds


def _blocks(frames: Sequence[int], count: int) -> list[tuple[Sequence[int], Sequence[int]]]:
    """For each of the blocks of one video: the frames to fit on, and the block."""
    edges = np.linspace(0, len(frames), count + 1).round().astype(int)
    return [
        ([*frames[: max(0, low - FOLD_GAP)], *frames[high + FOLD_GAP :]], frames[low:high])
        for low, high in pairwise(edges)
    ]


def map_weights(
    context: Float[np.ndarray, "n c"],
    targets: Float[np.ndarray, "n o"],
    start: Float[np.ndarray, "c o"],
    penalty: float,
) -> Float32[np.ndarray, "c o"]:
    """The minimum of |targets - context W|² + penalty |W - start|² (the constant is not penalised)."""
    return _solve(context.T @ context, context.T @ (targets - context @ start), start, penalty)


def _solve(gram: np.ndarray, moment: np.ndarray, start: np.ndarray, penalty: float) -> np.ndarray:
    ridge = np.full(len(gram), penalty)
    ridge[-1] = 1e-3
    step = np.linalg.solve(gram.astype(np.float64) + np.diag(ridge), moment.astype(np.float64))
    return (start + step).astype(np.float32)


def fit_person(
    prior: ContentPrior,
    speech: SpeechFeatures,
    lower: Float32[np.ndarray, "t 13"],
    by_style: Float32[np.ndarray, "t 13"],
    frames: Sequence[int],
    folds: Sequence[Fold],
) -> tuple[PersonContent, Float32[np.ndarray, "n 13"]]:
    """Fit the person's content on training frames, at 25 fps.

    The average speaker's lips are first turned into this person's coefficients by a small regression; the ridge is
    then shrunk towards that. Each coefficient gets the penalty with the least error out of fold, about each block's
    mean: where the face drifts to is not for the sound to say. The ridge is averaged with what the style network makes
    of the lips where that lessens the error of the opening out of fold (on `lieu` r(opening) .63 → .66 out of fold).
    The gain makes up for the amplitude that least squares gives away, see ``amplitude_gain``; then the components are
    moved to agree with the opening, see ``agreement``.

    Args:
        prior: Speaker-independent content prior.
        speech: Speech of the whole video, in the picture's time.
        lower: Targets of all T frames, without what the head's turn does; only those in ``frames`` are looked at.
        by_style: The style network's lower face; out of fold where ``frames`` are.
        frames: Training frames.
        folds: Blocks of ``frames``.

    Returns:
        The model fitted on all of ``frames``, and predictions out of fold for ``frames``, gain applied. Each block's
        weights, centre and gain come from the other blocks.
    """
    used = np.asarray(frames)
    context, targets = phone_context(speech, used / FPS, prior.projection), lower[used]
    where = {frame: i for i, frame in enumerate(frames)}
    rows = [(np.array([where[i] for i in f.fit]), np.array([where[i] for i in f.held])) for f in folds]
    ridge, chosen, centres = _out_of_fold_ridge(prior, context, targets, rows)
    mixed = (1 - MIX) * ridge + MIX * by_style[used]
    better = np.square(mixed - targets)[:, OPENING_COLUMN].sum() < np.square(ridge - targets)[:, OPENING_COLUMN].sum()
    plain = mixed if better else ridge
    calibrated = np.zeros_like(plain)
    for fit, held in rows:  # the gain of a block from the predictions of the others
        gain = calibration(plain[fit], targets[fit])
        calibrated[held] = centres[held] + (plain[held] - centres[held]) @ gain
    start = _start(prior, context, targets)
    person = PersonContent(
        weights=_pick({p: map_weights(context, targets, start, p) for p in np.unique(chosen)}, chosen),
        gain=calibration(plain, targets),
        centre=targets.mean(axis=0).astype(np.float32),
        penalty=chosen.astype(np.float32),
        style_share=np.array([MIX if better else 0.0], np.float32),
    )
    return person, calibrated.astype(np.float32)


def _out_of_fold_ridge(
    prior: ContentPrior, context: np.ndarray, targets: np.ndarray, rows: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of held-out blocks, the penalty of each coefficient, and the mean that each block's fit saw."""
    out = {p: np.zeros_like(targets) for p in PENALTIES}
    centres = np.zeros_like(targets)
    for fit, held in rows:
        start = _start(prior, context[fit], targets[fit])
        gram, moment = context[fit].T @ context[fit], context[fit].T @ (targets[fit] - context[fit] @ start)
        centres[held] = targets[fit].mean(axis=0)
        for penalty in PENALTIES:
            out[penalty][held] = context[held] @ _solve(gram, moment, start, penalty)
    errors = np.stack([_motion_errors(out[p] - targets, rows) for p in PENALTIES])  # [P, 13]
    chosen = np.array(PENALTIES)[errors.argmin(axis=0)]
    return _pick(out, chosen), chosen, centres


def _motion_errors(error: np.ndarray, rows: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Sum of squares of each coefficient's error, about its mean in each held-out block."""
    return np.sum([np.square(error[held] - error[held].mean(axis=0)).sum(axis=0) for _, held in rows], axis=0)


def _pick(by_penalty: dict[float, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    """Each column from the array of its own penalty."""
    return np.stack([by_penalty[p][:, i] for i, p in enumerate(chosen)], axis=1)


def _start(prior: ContentPrior, context: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The average speaker's weights in this person's coefficients."""
    lips = context @ prior.weights
    design = np.concatenate([(lips - lips.mean(axis=0)) / (lips.std(axis=0) + 1e-6), np.ones((len(lips), 1))], axis=1)
    ridge = np.diag(np.r_[np.full(lips.shape[1], START_PENALTY * len(lips)), 1e-3])
    turn = np.linalg.solve(design.T @ design + ridge, design.T @ targets)
    scaled = turn[:-1] / (lips.std(axis=0) + 1e-6)[:, None]
    start = prior.weights @ scaled
    start[-1] += turn[-1] - lips.mean(axis=0) @ scaled
    return start.astype(np.float32)


def calibration(
    predicted: Float[np.ndarray, "n 13"], targets: Float[np.ndarray, "n 13"]
) -> Float32[np.ndarray, "13 13"]:
    """Amplitude first, then agreement: one linear map about the mean, rows in, columns out."""
    gain = amplitude_gain(predicted, targets)
    return (np.diag(gain) @ agreement(predicted, targets)).astype(np.float32)


def amplitude_gain(
    predicted: Float[np.ndarray, "n 13"], targets: Float[np.ndarray, "n 13"]
) -> Float32[np.ndarray, " 13"]:
    """Gain for each coefficient, 0 to 2: lips that articulate rather than the least squared error.

    Least squares gives a ratio of standard deviations of about r. It is brought to the fourth root of r (.90 at
    r = .65); below r = .3 it stays at r. On `lieu` this and ``agreement`` took the driven opening correlation, measured
    on rendered frames, from .51 to .60 and its amplitude from .69 to .86, at the same PSNR.
    """
    gains = []
    for p, y in zip(predicted.T, targets.T, strict=True):
        r = max(correlation(p, y), 0.0)
        wanted = r**0.25 if r >= WEAK_R else r
        gains.append(min(wanted * float(y.std()) / max(float(p.std()), 1e-6), GAIN_CAP))
    return np.array(gains, np.float32)


def agreement(predicted: Float[np.ndarray, "n 13"], targets: Float[np.ndarray, "n 13"]) -> Float[np.ndarray, "13 13"]:
    """Moves the twelve components so that the lips are open as far as the opening says.

    The opening is nearly a linear function of the components, but it is predicted by itself, and better. Each component
    takes a share of the disagreement in proportion to its variance of prediction (the conditional mean of a Gaussian).
    """
    parts, opening = targets[:, :OPENING_COLUMN], targets[:, OPENING_COLUMN]
    centred = parts - parts.mean(axis=0)
    slopes = np.linalg.lstsq(centred, opening - opening.mean(), rcond=None)[0]
    doubt = np.square(predicted[:, :OPENING_COLUMN] - parts).mean(axis=0)
    share = doubt * slopes / max(float(slopes @ (doubt * slopes)), 1e-9)
    moved = np.eye(NUM_LOWER)
    moved[:OPENING_COLUMN, :OPENING_COLUMN] -= np.outer(slopes, share)
    moved[OPENING_COLUMN, :OPENING_COLUMN] += share
    return moved


def predict_person(
    person: PersonContent, prior: ContentPrior, speech: SpeechFeatures, by_style: Float32[np.ndarray, "t 13"]
) -> Float32[np.ndarray, "t 13"]:
    """Lower-face coefficients of T = len(by_style) frames at 25 fps.

    Args:
        person: The fitted model.
        prior: What it was fitted with.
        speech: Speech in the picture's time.
        by_style: The style network's lower face.
    """
    share = float(person.style_share[0])
    ridge = apply_to_context(speech, np.arange(len(by_style)) / FPS, person.weights, prior.projection)
    plain = (1 - share) * ridge + share * by_style
    return (person.centre + (plain - person.centre) @ person.gain).astype(np.float32)
