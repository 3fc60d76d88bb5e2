"""What error to expect, per pixel and per frame: the avatar's doubts, calibrated on frames of its own subject.

An ensemble's variance has no scale and knows nothing of where pictures go wrong (DESIGN §7). What does, together: how
far each Gaussian was off on average (its *baseline*), how much detail is drawn there, what the ensemble says, how far
it was moved; and for a whole frame how far pose and expression lie from what was seen, and what it shows. Two small
log-linear models hold that; ``training/forecasting.py`` fits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from ua3dtalk.avatar.branch import Motion
from ua3dtalk.avatar.conditions import Conditions

KNOTS = 101
"""Quantiles (q) that a distribution is kept as."""
INSIDE = 0.5
"""Pixels covered more than this by the head have a forecast."""
CHANNELS = 4
"""Splatted for each Gaussian: aleatoric and epistemic variance, motion in mm, baseline."""
TARGETS = ("head", "mouth")
"""Whose mean error is forecast for a frame."""
STRANGE = ("pose", "pose among its neighbours", "expression", "expression among its neighbours")
"""What is asked of a frame before it is drawn: larger is stranger."""
FRAME_FEATURES = (*STRANGE, "movement", "baseline", "detail", "pixels of the head", "pixels of the mouth")
"""What a frame's forecast is made of. Chosen by errors of training frames in blocks that were left out, on `lieu`,
`andrew1` and the embedded actor; the ensemble's variance by itself brought nothing beside them."""
NEIGHBOURS = 10
_FLOORS = (1e-6, 1e-8, 0.05, 1e-4, 0.01)
"""Added before a logarithm is taken of each pixel feature."""


@dataclass(frozen=True)
class LogLinear:
    """log E[y] = weights · (1, (x − centre) / scale), for F features and K targets."""

    centre: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"]
    weights: Float[np.ndarray, "k f1"]

    def __call__(self, features: Float[np.ndarray, "*n f"]) -> Float[np.ndarray, "*n k"]:
        """Expected values."""
        return np.exp((features - self.centre) / self.scale @ self.weights[:, 1:].T + self.weights[:, 0])


@dataclass(frozen=True)
class SeenFrames:
    """Poses and expressions of training frames: what is near them is known."""

    rotation: Float[np.ndarray, "3 3"]
    """Mean rotation of the head."""
    translation: Float[np.ndarray, " 3"]
    """Mean translation, metres."""
    scale: Float[np.ndarray, " 6"]
    """Standard deviations of rotation vector (radians) and translation (metres)."""
    poses: Float[np.ndarray, "t 6"]
    """Standardised poses."""
    expressions: Float[np.ndarray, "t 19"]
    """Lower- and upper-face signals."""

    @classmethod
    def of(
        cls, viewmats: Float[np.ndarray, "t 4 4"], lower: Float[np.ndarray, "t 13"], upper: Float[np.ndarray, "t 6"]
    ) -> SeenFrames:
        """Statistics of some frames."""
        turns = Rotation.from_matrix(viewmats[:, :3, :3])
        mean, middle = turns.mean(), viewmats[:, :3, 3].mean(0)
        moved = np.concatenate([(turns * mean.inv()).as_rotvec(), viewmats[:, :3, 3] - middle], 1)
        scale = np.maximum(moved.std(0), 1e-4)  # a tenth of a millimetre, or of a milliradian
        return cls(mean.as_matrix(), middle, scale, moved / scale, np.concatenate([lower, upper], 1))

    def standardised(self, viewmat: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, " 6"]:
        """A pose in standard deviations from the mean pose."""
        turn = Rotation.from_matrix(viewmat[:3, :3] @ self.rotation.T).as_rotvec()
        return np.concatenate([turn, viewmat[:3, 3] - self.translation]) / self.scale

    def strangeness(
        self, conditions: Conditions, viewmat: Float[np.ndarray, "4 4"], but: slice = slice(0)
    ) -> Float[np.ndarray, " 4"]:
        """STRANGE of a frame, logarithms.

        Args:
            conditions: What drives it.
            viewmat: World to camera.
            but: Frames that are not to be compared with, for a frame that is one of those seen.
        """
        pose = self.standardised(viewmat)
        lower, upper = conditions.lower.cpu().numpy(), conditions.upper.cpu().numpy()
        near = _near(self.expressions, np.concatenate([lower, upper]), but)
        return np.log(np.array([np.linalg.norm(pose), _near(self.poses, pose, but), np.linalg.norm(lower), near]) + 0.1)


def _near(seen: np.ndarray, one: np.ndarray, but: slice) -> float:
    """Mean distance of the nearest neighbours."""
    away = np.delete(np.linalg.norm(seen - one, axis=1), but)
    count = min(NEIGHBOURS, len(away))
    return float(np.partition(away, count - 1)[:count].mean()) if count else 0.0


@dataclass(frozen=True)
class FrameForecast:
    """What to expect of one frame."""

    error: Float[np.ndarray, "h w"]
    """Expected absolute error of every pixel of the head, 0..1 of full brightness; 0 outside."""
    head: float
    """Its mean over the head."""
    mouth: float
    """Expected mean around the mouth."""
    confidence: float
    """Share of the calibration frames of which a larger error was expected, 0..1."""
    strangeness: dict[str, float]
    """For each of STRANGE the share of calibration frames that were less strange, 0..1."""
    likely: tuple[float, float]
    """The true mean error over the head lies in between in 80 % of all frames."""


@dataclass(frozen=True)
class Forecast:
    """A fitted forecast of one avatar."""

    baseline: dict[str, Float[Tensor, " _"]]
    """Per layer, mean absolute error of the pixels that each Gaussian showed in."""
    pixel: LogLinear
    """From five pixel features (``pixel_features``) to an error."""
    frame: LogLinear
    """From ``FRAME_FEATURES`` to the mean errors of TARGETS."""
    seen: SeenFrames
    """Of training."""
    ratios: Float[np.ndarray, " q"]
    """Quantiles of true over expected error of a pixel."""
    frame_ratios: Float[np.ndarray, "2 q"]
    """The same for the means of TARGETS."""
    levels: Float[np.ndarray, "2 q"]
    """Quantiles of what was expected of the calibration frames."""
    strange: Float[np.ndarray, "4 q"]
    """Quantiles of their STRANGE."""

    def of_frame(
        self,
        channels: Float[np.ndarray, "h w 4"],
        inside: Bool[np.ndarray, "h w"],
        mouth: Bool[np.ndarray, "h w"],
        image: Float[np.ndarray, "h w 3"],
        strangeness: Float[np.ndarray, " 4"],
    ) -> FrameForecast:
        """The forecast of a drawn frame; of one without a head: no error, and no confidence.

        Args:
            channels: Splatted ``extras`` of all layers.
            inside: Pixels of the head.
            mouth: Pixels in which the mouth's layer lies.
            image: The picture, 0..1.
            strangeness: STRANGE.
        """
        shares = {n: _share(k, float(v)) for n, k, v in zip(STRANGE, self.strange, strangeness, strict=True)}
        error = np.zeros(inside.shape, np.float32)
        if not inside.any():
            return FrameForecast(error, 0.0, 0.0, 0.0, shares, (0.0, 0.0))
        pixels = pixel_features(channels, image, inside)
        expected = self.pixel(pixels)[:, 0]
        head, around = (float(v) for v in self.frame(frame_features(strangeness, pixels, expected, mouth[inside])))
        error[inside] = expected * (head / max(float(expected.mean()), 1e-9))
        sure = 1 - _share(self.levels[0], head)
        return FrameForecast(error, head, around, sure, shares, self.interval(head, 0.8, TARGETS[0]))

    def interval(self, expected: float, coverage: float, target: str | None = None) -> tuple[float, float]:
        """Central interval of the true error.

        Args:
            expected: What was forecast.
            coverage: Share of cases that lie inside, 0..1.
            target: One of TARGETS for a frame's mean; None for a pixel.
        """
        ratios = self.ratios if target is None else self.frame_ratios[TARGETS.index(target)]
        low, high = np.interp([(1 - coverage) / 2, (1 + coverage) / 2], np.linspace(0, 1, KNOTS), ratios)
        return float(low * expected), float(high * expected)

    def tensors(self) -> dict[str, Tensor]:
        """Everything, to be stored."""
        arrays = {
            **{f"{kind}.{part}": getattr(getattr(self, kind), part) for kind in _MODELS for part in _PARTS},
            **{f"seen.{name}": getattr(self.seen, name) for name in _SEEN},
            **{name: getattr(self, name) for name in _KNOTTED},
        }
        plain = {name: torch.from_numpy(np.ascontiguousarray(value, np.float64)) for name, value in arrays.items()}
        return plain | {f"baseline.{layer}": values for layer, values in self.baseline.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Forecast:
        """What ``tensors`` gave."""
        found = {name: value.numpy() for name, value in tensors.items() if not name.startswith("baseline.")}
        models = {kind: LogLinear(*(found[f"{kind}.{part}"] for part in _PARTS)) for kind in _MODELS}
        return cls(
            baseline={name.removeprefix("baseline."): v for name, v in tensors.items() if name.startswith("baseline.")},
            pixel=models["pixel"],
            frame=models["frame"],
            seen=SeenFrames(*(found[f"seen.{name}"] for name in _SEEN)),
            **{name: found[name] for name in _KNOTTED},
        )


_MODELS, _PARTS = ("pixel", "frame"), ("centre", "scale", "weights")
_SEEN = ("rotation", "translation", "scale", "poses", "expressions")
_KNOTTED = ("ratios", "frame_ratios", "levels", "strange")


def pixel_features(
    channels: Float[np.ndarray, "h w 4"], image: Float[np.ndarray, "h w 3"], inside: np.ndarray
) -> Float[np.ndarray, "p 5"]:
    """Logarithms of CHANNELS and of the picture's gradient, for the pixels inside."""
    grey = image.mean(-1)
    slope = np.abs(np.gradient(grey, axis=0)) + np.abs(np.gradient(grey, axis=1))
    values = np.concatenate([channels[inside], slope[inside, None]], 1)
    return np.log(np.maximum(values, 0) + np.array(_FLOORS)).astype(np.float64)


def frame_features(
    strangeness: Float[np.ndarray, " 4"],
    pixels: Float[np.ndarray, "p 5"],
    expected: Float[np.ndarray, " p"],
    mouth: Bool[np.ndarray, " p"],
) -> Float[np.ndarray, " 9"]:
    """FRAME_FEATURES of a frame: how strange it is, and what it shows.

    Args:
        strangeness: STRANGE.
        pixels: ``pixel_features`` of its head, or of some of it.
        expected: Errors expected of these pixels by themselves.
        mouth: Which of them lie where the mouth's layer is; all are taken where none does.
    """
    around = expected[mouth] if mouth.any() else expected
    levels = np.log(np.maximum([expected.mean(), around.mean()], 1e-9))
    return np.concatenate([strangeness, pixels[:, 2:].mean(0), levels])


def channels_of(motion: Motion, baseline: Float[Tensor, " n"]) -> Float[Tensor, "n 4"]:
    """CHANNELS to splat for a layer's Gaussians."""
    zero = torch.zeros_like(motion.d_means[:, 0])
    residual = motion.d_means if motion.residual is None else motion.residual
    moved = (motion.d_means - residual).norm(dim=1) + residual.norm(dim=1)
    doubts = (zero, zero) if motion.maps is None else (motion.maps.fused_aleatoric, motion.maps.fused_epistemic)
    return torch.stack([*doubts, moved * 1000, baseline.to(zero)], dim=1)


def _share(knots: np.ndarray, value: float) -> float:
    """Share of a distribution that lies below a value."""
    return float(np.searchsorted(knots, value) / KNOTS)
