"""What is measured of every stream of a track to tell whether it is usual; ``familiarity.py`` judges by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import uniform_filter1d

from ua3dtalk.avatar.conditions import STREAMS, ConditionTrack
from ua3dtalk.avatar.lip_readings import HEARD, SAID, SHOWN, LipReader, hear
from ua3dtalk.priors.content import ContentPrior

Statistic = tuple[str, str]
"""Stream and kind: ``far``, ``jump``, ``mass`` (sum of phone posteriors: about one, whatever is said), the name of a
witness, or VOICE."""
VOICE: Statistic = ("emotion", "voice")
"""How far the emotion lies off what the subject's own voice spans: so it does for every other speaker."""
LOWER = SHOWN
_MASS, _HEARD = "mass", "heard"
WITNESSES = {"audio": ("content", LOWER), "content": (_HEARD, LOWER), "style": ("audio", "content")}
"""Who foretells a stream. What two of them both contradict is strange, so that a false witness harms nobody."""
ODD = "odd"
"""Kind of the statistic that says how far sound or content is the odd one out (``lip_readings.py``)."""
_DIRECTIONS = {"audio": 32, "content": 24, "style": 24, "emotion": 12, LOWER: 13, _HEARD: 24}
_OFFSETS = (-4, -2, 0, 2, 4)
"""Frames of a witness that are looked at."""
_SMOOTH = 21
"""Frames that a statistic is averaged over: one second."""
_RIDGE = 30.0
_FLOOR = 1e-3


def stream_values(track: ConditionTrack, prior: ContentPrior) -> dict[str, Float64[np.ndarray, "t _"]]:
    """Streams that are there in the whole track and the expression, as rows.

    Of the sound: four steps, its mass, and the content that the prior hears in it.
    """
    there = track.present.cpu().bool().all(0).tolist()
    found = {name: getattr(track, name).cpu().numpy() for name, p in zip(STREAMS, there, strict=True) if p}
    rows: dict[str, np.ndarray] = {}
    if "audio" in found:
        sound = found.pop("audio")  # as it is: in double precision an hour of it takes half a gigabyte
        t, phones, steps = sound.shape
        rows["audio"] = sound.reshape(t, phones, 4, steps // 4).mean(-1).reshape(t, -1)
        rows[_MASS] = np.einsum("tps,tps->t", sound, sound)[:, None] / steps
        rows[_HEARD] = hear(sound, prior)
    rows |= found | {LOWER: track.lower.cpu().numpy()}
    return {name: values.astype(np.float64) for name, values in rows.items()}


def as_stream(stream: str, rows: Float64[np.ndarray, "t _"], like: np.ndarray) -> np.ndarray:
    """Rows of ``stream_values`` as the stream itself: each of the four steps of the sound stands for its quarter."""
    if stream == "audio":
        t, phones, steps = like.shape
        rows = rows.reshape(t, phones, 4).repeat(steps // 4, axis=2).clip(0, 1)
    return rows.astype(np.float32)


@dataclass(frozen=True)
class Basis:
    """Main directions of a stream of width D."""

    mean: Float64[np.ndarray, " d"]
    directions: Float64[np.ndarray, "k d"]
    scale: Float64[np.ndarray, " k"]
    """Standard deviations along them."""

    @classmethod
    def of(cls, values: Float64[np.ndarray, "t d"], count: int) -> Basis:
        """The `count` largest of some rows."""
        mean = values.mean(0)
        _, sizes, directions = np.linalg.svd(values - mean, full_matrices=False)
        scale = np.maximum(sizes[:count] / np.sqrt(len(values)), 1e-6)
        return cls(mean, np.ascontiguousarray(directions[:count]), scale)

    def whitened(self, values: Float64[np.ndarray, "t d"]) -> Float64[np.ndarray, "t k"]:
        """Coordinates with unit variance."""
        return (values - self.mean) @ self.directions.T / self.scale

    def off(self, values: Float64[np.ndarray, "t d"]) -> Float64[np.ndarray, " t"]:
        """Distance from what the directions span."""
        away = values - self.mean
        return np.linalg.norm(away - away @ self.directions.T @ self.directions, axis=1)


@dataclass(frozen=True)
class Foretelling:
    """What a witness says of a stream, both whitened."""

    weights: Float64[np.ndarray, "x k"]
    """Regression on the witness's surroundings."""
    worth: Float64[np.ndarray, " k"]
    """How much a deviation of each coordinate counts: its share of foretold variance over its usual deviation."""

    @classmethod
    def fit(
        cls, witness: Float64[np.ndarray, "t j"], stream: Float64[np.ndarray, "t k"], frames: np.ndarray
    ) -> Foretelling:
        """Ridge regression over some frames."""
        x, y = _around(witness)[frames], stream[frames]
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
        left = (y - x @ weights).std(0) + _FLOOR
        return cls(weights, np.clip(1 - (left / (y.std(0) + _FLOOR)) ** 2, 0, 1) / left)

    def surprise(
        self, witness: Float64[np.ndarray, "t j"], stream: Float64[np.ndarray, "t k"]
    ) -> Float64[np.ndarray, " t"]:
        """How far the stream is from what was foretold."""
        return np.linalg.norm((stream - _around(witness) @ self.weights) * self.worth, axis=1)


@dataclass(frozen=True)
class StreamModel:
    """What statistics are computed with."""

    bases: Mapping[str, Basis]
    foretold: Mapping[Statistic, Foretelling]
    """By stream and witness."""
    lips: LipReader
    """Compares what sound, content and mouth say."""

    @classmethod
    def fit(cls, values: Mapping[str, np.ndarray], frames: np.ndarray) -> StreamModel:
        """Learn from some frames of what ``stream_values`` gave."""
        bases = {
            name: Basis.of(rows[frames], _DIRECTIONS[name]) for name, rows in values.items() if name in _DIRECTIONS
        }
        white = {name: basis.whitened(values[name]) for name, basis in bases.items()}
        pairs = [(s, w) for s, both in WITNESSES.items() for w in both if s in white and w in white]
        foretold = {(s, w): Foretelling.fit(white[w], white[s], frames) for s, w in pairs}
        return cls(bases, foretold, LipReader.fit(_lip_rows(values), frames))

    def foretell(self, values: Mapping[str, np.ndarray], stream: str) -> Float64[np.ndarray, "t _"] | None:
        """What a stream's witnesses say that it should be (their mean), as rows of ``stream_values``; None without."""
        basis = self.bases.get(stream)
        told = [
            _around(self.bases[witness].whitened(values[witness])) @ foretelling.weights
            for (name, witness), foretelling in self.foretold.items()
            if name == stream and witness in values
        ]
        if basis is None or not told:
            return None
        return basis.mean + np.mean(told, axis=0) * basis.scale @ basis.directions

    def statistics(self, values: Mapping[str, np.ndarray]) -> dict[Statistic, Float64[np.ndarray, " t"]]:
        """Logarithms, smoothed over a second, and disagreements; what needs a stream that is missing is left out."""
        there = [name for name in self.bases if name in values]
        white = {name: self.bases[name].whitened(values[name]) for name in there}
        found: dict[Statistic, np.ndarray] = {}
        for name in (n for n in STREAMS if n in there):
            found[name, "far"] = np.linalg.norm(white[name], axis=1)
            found[name, "jump"] = _jumps(white[name])
        if "audio" in there:
            found["audio", "mass"] = values[_MASS][:, 0]
        if "emotion" in there:
            found[VOICE] = self.bases["emotion"].off(values["emotion"])
        for (stream, witness), foretelling in self.foretold.items():
            if stream == "style" and witness in white and stream in white:  # the others are compared as lips
                found[stream, witness] = foretelling.surprise(white[witness], white[stream])
        smooth = {key: uniform_filter1d(np.log(v + _FLOOR), _SMOOTH, mode="nearest") for key, v in found.items()}
        return smooth | {(name, ODD): apart for name, apart in self.lips.odd_ones(_lip_rows(values)).items()}


def _lip_rows(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the lip reader compares, as far as it is there."""
    rows = {HEARD: _HEARD, SAID: "content", SHOWN: LOWER}
    return {name: values[row] for name, row in rows.items() if row in values}


def _around(rows: np.ndarray) -> np.ndarray:
    """A frame's surroundings and a constant; ends are repeated."""
    t = np.arange(len(rows))
    parts = [rows[np.clip(t + offset, 0, len(rows) - 1)] for offset in _OFFSETS]
    return np.concatenate([*parts, np.ones((len(rows), 1))], 1)


def _jumps(rows: np.ndarray) -> np.ndarray:
    """Change since the frame before; the first frame has that of the second."""
    changes = np.linalg.norm(np.diff(rows, axis=0), axis=1)
    return changes[np.maximum(np.arange(len(rows)) - 1, 0)] if len(changes) else np.zeros(len(rows))
