"""Fitting an avatar's error forecast (``avatar/forecast.py``) on frames of its subject.

Frames are those of training, driven by speech that the priors did not learn from (out of fold): their pictures have
been seen, the motion of their lips has not. A third of them give every Gaussian its baseline, the others fit the
models. On the held-out frames of `lieu` the mean error is .92 of that of these frames, so the scale carries over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from ua3dtalk.avatar.avatar import Avatar, Drawing
from ua3dtalk.avatar.branch import Motion
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.forecast import KNOTS, Forecast, LogLinear, SeenFrames, frame_features, pixel_features
from ua3dtalk.core.progress import Progress, track
from ua3dtalk.core.sequence import spread

FRAMES = 360
PIXELS_PER_FRAME = 4000
PRIOR_WEIGHT = 5.0
"""Pixels of mean error that every Gaussian's baseline starts with."""
SEEN_AT_MOST = 2000
APART = 25
"""Frames nearer than this in time are no neighbours of each other: they are the same moment."""
RIDGE = 10.0
FLOOR = 1 / 255
FOLDS = 5


@runtime_checkable
class Truth(Protocol):
    """The real frames."""

    def real(self, i: int) -> Float[np.ndarray, "h w 3"]:
        """Frame ``i``, 0..1."""
        ...

    def behind(self, i: int) -> Float[np.ndarray, "h w 3"]:
        """Torso over background of frame ``i``, 0..1."""
        ...

    def mouth(self, i: int) -> Bool[np.ndarray, "h w"]:
        """Box around the lips of frame ``i``."""
        ...


@dataclass(frozen=True)
class CalibrationFrame:
    """What one frame says."""

    strangeness: Float64[np.ndarray, " 4"]
    """Its STRANGE."""
    pixels: Float64[np.ndarray, "p 5"]
    """Features of some pixels."""
    errors: Float64[np.ndarray, " p"]
    """Their absolute errors, 0..1."""
    mouth: Bool[np.ndarray, " p"]
    """Which of them lie where the mouth's layer is."""
    means: Float64[np.ndarray, " 2"]
    """Mean absolute errors of TARGETS."""


def fit_forecast(
    avatar: Avatar,
    conditions: ConditionTrack,
    viewmats: Float[np.ndarray, "t 4 4"],
    frames: Sequence[int],
    truth: Truth,
    generator: np.random.Generator,
    progress: Progress,
) -> Forecast:
    """Fit the forecast of an avatar.

    Args:
        avatar: Who is asked.
        conditions: Conditions of all frames, the mouth from out-of-fold speech.
        viewmats: Poses of all frames.
        frames: Frames it may be fitted on, in order.
        truth: What they look like.
        generator: Chooses pixels.
        progress: Where to report.
    """
    chosen = np.asarray(frames)[spread(len(frames), FRAMES)]
    known = np.asarray(frames)[spread(len(frames), SEEN_AT_MOST)]
    seen = SeenFrames.of(viewmats[known], conditions.lower.numpy()[known], conditions.upper.numpy()[known])
    baseline = baselines(avatar, conditions, viewmats, chosen[0::3].tolist(), truth, progress)
    samples = []
    for i in track(progress, "forecast: how far off frames are", np.delete(chosen, np.s_[0::3]).tolist()):
        one = conditions.frame(i)
        drawing = avatar.draw(one, viewmats[i], truth.behind(i), baseline=baseline)
        near = np.flatnonzero(np.abs(known - i) <= APART)
        but = slice(int(near[0]), int(near[-1]) + 1) if len(near) < len(known) else slice(0)
        strangeness = seen.strangeness(one, viewmats[i], but)
        error = np.abs(drawing.image - truth.real(i)).mean(-1)
        samples.append(_sample(drawing, strangeness, error, truth.mouth(i), generator))
    return fitted(baseline, seen, [sample for sample in samples if sample is not None])


def baselines(
    avatar: Avatar,
    conditions: ConditionTrack,
    viewmats: Float[np.ndarray, "t 4 4"],
    frames: Sequence[int],
    truth: Truth,
    progress: Progress,
) -> dict[str, Float[Tensor, " _"]]:
    """Mean absolute error of the pixels that each Gaussian shows in, by layer.

    The derivative of a splatted sum by what is splatted is the weight that a Gaussian has in it.
    """
    sums = {name: torch.zeros(2, len(layer.gaussians)) for name, layer in avatar.layers.items()}
    for i in track(progress, "forecast: how far off Gaussians are", frames):
        one = conditions.frame(i)
        motions = avatar.move(one)
        drawing = avatar.draw(one, viewmats[i], truth.behind(i), motions=motions)
        error = torch.from_numpy(np.abs(drawing.image - truth.real(i)).mean(-1)).to(avatar.device)
        for name, total in sums.items():
            total += _weighed(avatar, name, motions[name], viewmats[i], error, drawing.alpha)
    all_errors, all_weights = (sum(float(total[k].sum()) for total in sums.values()) for k in (0, 1))
    typical = all_errors / max(all_weights, 1e-9)
    return {name: (t[0] + PRIOR_WEIGHT * typical) / (t[1] + PRIOR_WEIGHT) for name, t in sums.items()}


def _weighed(
    avatar: Avatar, name: str, motion: Motion | None, viewmat: np.ndarray, error: Tensor, covered: np.ndarray
) -> Tensor:
    """Per Gaussian of a layer: sum over pixels of its weight times the error, and of its weight, [2, N]."""
    layer = avatar.layers[name]
    splats = layer.splats(motion).detach()
    ones = torch.ones(len(splats.means), 1, device=avatar.device, requires_grad=True)
    degree = layer.gaussians.sh_degree
    drawn = avatar.rasterizer(splats, avatar.camera(viewmat), sh_degree=degree, extras=ones).extras[..., 0]
    shows = torch.from_numpy(1 - covered).to(error) if name != "face" else torch.ones_like(error)
    by_error = torch.autograd.grad((drawn * error * shows).sum(), ones, retain_graph=True)[0]
    by_one = torch.autograd.grad((drawn * shows).sum(), ones)[0]
    return torch.stack([by_error[:, 0], by_one[:, 0]]).cpu()


def _sample(
    drawing: Drawing, strangeness: np.ndarray, error: np.ndarray, mouth: np.ndarray, generator: np.random.Generator
) -> CalibrationFrame | None:
    """Some pixels and the means of a frame; None where the head is not in it."""
    inside = drawing.inside()
    if drawing.channels is None or not inside.any():
        return None
    features, errors = pixel_features(drawing.channels, drawing.image, inside), error[inside]
    some = generator.choice(len(errors), min(PIXELS_PER_FRAME, len(errors)), replace=False)
    around = inside & mouth if (inside & mouth).any() else inside
    means = np.array([errors.mean(), error[around].mean()], np.float64)
    return CalibrationFrame(
        strangeness, features[some], errors[some].astype(np.float64), drawing.mouth[inside][some], means
    )


def fitted(baseline: dict[str, Float[Tensor, " _"]], seen: SeenFrames, frames: Sequence[CalibrationFrame]) -> Forecast:
    """Both models and their distributions. What frames are expected to be is asked of models fitted without them."""
    means, strange = np.stack([frame.means for frame in frames]), np.stack([frame.strangeness for frame in frames])
    pixel = log_linear(
        np.concatenate([frame.pixels for frame in frames]), np.concatenate([frame.errors for frame in frames])[:, None]
    )
    values = [pixel(frame.pixels)[:, 0] for frame in frames]
    features = np.stack(
        [frame_features(f.strangeness, f.pixels, v, f.mouth) for f, v in zip(frames, values, strict=True)]
    )
    expected = np.empty_like(means)
    for part in np.array_split(np.arange(len(frames)), FOLDS):
        others = np.setdiff1d(np.arange(len(frames)), part)
        expected[part] = log_linear(features[others], means[others])(features[part])
    heads = zip(frames, values, expected[:, 0], strict=True)
    ratios = [frame.errors / (value * (head / value.mean())) for frame, value, head in heads]
    share = np.linspace(0, 1, KNOTS)
    quantiles = lambda values: np.quantile(values, share, axis=0).T  # noqa: E731
    return Forecast(
        baseline=baseline,
        pixel=pixel,
        frame=log_linear(features, means),
        seen=seen,
        ratios=quantiles(np.concatenate(ratios)),
        frame_ratios=quantiles(means / expected),
        levels=quantiles(expected),
        strange=quantiles(strange),
    )


def log_linear(features: Float64[np.ndarray, "n f"], values: Float64[np.ndarray, "n k"]) -> LogLinear:
    """Ridge regression of the logarithm; the mean of what it predicts is the mean of the values."""
    centre, scale = features.mean(0), features.std(0) + 1e-6
    x, y = (features - centre) / scale, np.log(values + FLOOR)
    slopes = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    rough = LogLinear(centre, scale, np.column_stack([y.mean(0), slopes.T]))
    shift = np.log(values.mean(0) / rough(features).mean(0))
    return LogLinear(centre, scale, np.column_stack([y.mean(0) + shift, slopes.T]))
