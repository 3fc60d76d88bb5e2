"""How familiar each stream of a track is to an avatar: which of them to doubt, frame by frame, and why.

An ensemble finds noise, but not what is plausible and wrong, and of zeros it is sure (DESIGN §7). So every stream is
also compared with what it was in training: how far from its mean it lies, how fast it jumps, and whether it agrees with
two other witnesses of the same moment (``lip_readings.py``). Each of these statistics becomes a
normal score by its distribution over training frames that it was not fitted on, and counts on both sides: zeroed
features are suspiciously *near* the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from ua3dtalk.avatar.conditions import STREAMS, ConditionTrack
from ua3dtalk.avatar.lip_readings import LipReader
from ua3dtalk.avatar.stream_scores import NORMAL, SHARES, by_others, normal_scores, strongest
from ua3dtalk.avatar.stream_statistics import (
    ODD,
    VOICE,
    WITNESSES,
    Basis,
    Foretelling,
    Statistic,
    StreamModel,
    as_stream,
    stream_values,
)
from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import log
from ua3dtalk.priors.content import ContentPrior

FILE = "familiarity.safetensors"
KIND = "avatar.familiarity"
VERSION = 2
"""Of the file."""
ALARM = 3.0
"""A stream with a larger score is doubted."""
ODD_UNIT = 0.15
"""Disagreement between sound, content and mouth that counts as a score of one, for everybody: phones know no speaker.
Clean speech of the subjects and of four strangers stayed below .47 in 99 % of frames; swapped streams had .55 to 1."""
FEWEST = 200
"""Frames that are needed to know what is usual."""
_FOLDS, _GAP = 5, 25
_SPEECH = [STREAMS.index(name) for name in ("audio", "content", "style")]
_MEANS = ("audio", "lower", "content", "style", "emotion")
_DISAGREES = "does not fit the other streams"
_WHY = {
    ("audio", "far"): "unseen sound",
    ("audio", "jump"): "noisy audio",
    ("audio", "mass"): "noisy audio",
    ("content", "far"): "unseen speech",
    ("content", "jump"): "noisy speech features",
    ("style", "far"): "unseen manner of speaking",
    ("style", "jump"): "noisy style features",
    ("emotion", "far"): "unseen emotion",
    ("emotion", "jump"): "emotion that jumps",
}
_WHY_LOW = {
    "audio": "empty sound",
    "content": "empty speech features",
    "style": "empty style features",
    "emotion": "emotion without life",
}


@dataclass(frozen=True)
class Judgement:
    """What was found of T frames and the S streams of STREAMS."""

    scores: Float64[np.ndarray, "t s"]
    """Largest normal score of each stream, about 0..2 where all is usual; 0 for a stream that is missing."""
    kinds: Int64[np.ndarray, "t s"]
    """The statistic that gave it, an index into ``names``."""
    low: Bool[np.ndarray, "t s"]
    """Whether that was suspiciously small."""
    names: tuple[Statistic, ...]
    """All statistics."""
    voice: Float64[np.ndarray, " t"]
    """Normal score of how unlike the subject's own voice the sound is. Any other speaker has a large one all the time,
    so it is told, and counts neither as a stream's score nor in the confidence. 0 without an emotion stream."""
    confidence: Float64[np.ndarray, " t"]
    """Share of the training frames whose speech (sound, content, style) was at least as strange, 0..1. An unseen
    emotion is told, but says nothing about the lips."""

    def least_trusted(self, t: int) -> str:
        """The strangest stream of frame ``t``."""
        return STREAMS[int(self.scores[t].argmax())]

    def why(self, t: int) -> str | None:
        """Why it is doubted, in words; None where nothing is unusual."""
        s = int(self.scores[t].argmax())
        if self.scores[t, s] <= ALARM:
            return None
        stream, kind = self.names[self.kinds[t, s]]
        if by_others(stream, kind):
            return _DISAGREES
        return _WHY_LOW[stream] if self.low[t, s] else _WHY[stream, kind]


class Familiarity:
    """What was usual in training. Made by ``fit`` or ``load``.

    Args:
        model: Computes statistics.
        knots: Per statistic, 0.5 … 99.5 % quantiles over training frames.
        strangest: The same of the largest score of a frame's speech.
        means: Training means of the condition arrays.
        prior: The avatar's content prior: hears lips in the sound.
    """

    def __init__(
        self,
        model: StreamModel,
        knots: Mapping[Statistic, Float64[np.ndarray, " 100"]],
        strangest: Float64[np.ndarray, " 100"],
        means: Mapping[str, torch.Tensor],
        prior: ContentPrior,
    ) -> None:
        self._model, self._knots, self._strangest, self._means = model, knots, strangest, means
        self._prior = prior

    @classmethod
    def fit(cls, track: ConditionTrack, frames: np.ndarray, prior: ContentPrior) -> Familiarity:
        """Learn what is usual.

        Args:
            track: Conditions of the subject's frames, the mouth from speech, as synthesis will have it.
            frames: Those to learn from, in order.
            prior: The avatar's content prior.

        Raises:
            UserError: fewer frames than FEWEST.
        """
        if len(frames) < FEWEST:
            raise UserError(f"{len(frames)} frames are too few to know what is usual.", f"Give at least {FEWEST}.")
        values = {name: rows[frames] for name, rows in stream_values(track, prior).items()}
        everything = np.arange(len(frames))
        parts: list[dict[Statistic, np.ndarray]] = []
        for fold in np.array_split(everything, _FOLDS):
            others = everything[(everything < fold[0] - _GAP) | (everything > fold[-1] + _GAP)]
            found = StreamModel.fit(values, others).statistics(values)
            parts.append({key: column[fold] for key, column in found.items()})
        unseen = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        knots = {k: NORMAL * ODD_UNIT if k[1] == ODD else np.quantile(v, SHARES) for k, v in unseen.items()}
        strangest = np.quantile(strongest(unseen, knots)[0][:, _SPEECH].max(1), SHARES)
        means = {name: getattr(track, name)[frames].mean(0).cpu() for name in _MEANS}
        return cls(StreamModel.fit(values, everything), knots, strangest, means, prior)

    def judge(self, track: ConditionTrack, *, asked: bool = False) -> Judgement:
        """Look at every frame of a track.

        Args:
            track: What drives the frames.
            asked: Whether the emotion was asked for, and so changes when it was told to.
        """
        found = self._model.statistics(stream_values(track, self._prior))
        if asked:
            found.pop(("emotion", "jump"), None)
        scores, kinds, low = strongest(found, self._knots)
        below = np.searchsorted(self._strangest, scores[:, _SPEECH].max(1)) / len(SHARES)
        voice = normal_scores(self._knots[VOICE], found[VOICE]) if VOICE in found else np.zeros(len(track))
        return Judgement(scores, kinds, low, tuple(self._knots), voice, 1 - below)

    def mended(self, track: ConditionTrack, found: Judgement) -> ConditionTrack:
        """The track with what their witnesses foretell in place of streams that are doubted.

        The sound's, content's and style's; an emotion has no witness and stays. From ALARM to one above it the two are
        mixed. (Leaving a doubted stream out of the fusion instead makes things worse: nothing replaces it.)

        Args:
            track: What drives the frames.
            found: ``judge`` of it.
        """
        values, changed = stream_values(track, self._prior), {}
        for name in WITNESSES:
            doubt = np.clip(found.scores[:, STREAMS.index(name)] - ALARM, 0, 1)
            told = self._model.foretell(values, name) if name in values and doubt.any() else None
            if told is not None:
                given = getattr(track, name)
                rows = torch.from_numpy(as_stream(name, told, given.cpu().numpy())).to(given)
                share = torch.from_numpy(doubt).to(given).reshape(-1, *[1] * (given.dim() - 1))
                changed[name] = torch.lerp(given, rows, share.expand_as(given))
        return replace(track, **changed)

    def calmed(self, track: ConditionTrack, weight: Float64[np.ndarray, " t"]) -> ConditionTrack:
        """The track drawn towards the person's mean: sound, expression and features times the weight, 0..1."""
        changed = {}
        for name, mean in self._means.items():
            value = getattr(track, name)
            middle = mean.to(value)
            share = torch.from_numpy(weight).to(value).reshape(-1, *[1] * middle.dim())
            changed[name] = torch.lerp(middle.expand_as(value), value, share)
        return replace(track, **changed)

    def save(self, folder: Path) -> None:
        """Write it into an avatar's folder."""
        arrays = {"strangest": self._strangest}
        arrays |= {f"knots.{stream}.{kind}": column for (stream, kind), column in self._knots.items()}
        for (stream, witness), told in self._model.foretold.items():
            arrays |= {f"foretold.{stream}.{witness}.{part}": getattr(told, part) for part in _TOLD}
        for name, basis in self._model.bases.items():
            arrays |= {f"basis.{name}.{part}": getattr(basis, part) for part in _BASIS}
        arrays |= {"lips": self._model.lips.weights}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        tensors |= {f"mean.{name}": value for name, value in self._means.items()}
        header = {"version": VERSION, "statistics": [list(key) for key in self._knots]}
        save_tensors(folder / FILE, tensors, kind=KIND, header=header | {"usual": dict(self._model.lips.usual)})

    @classmethod
    def find(cls, folder: Path, prior: ContentPrior) -> Familiarity | None:
        """That of an avatar's folder; None where it has none (too few frames, or written by an older version).

        Args:
            folder: The avatar's.
            prior: Its content prior.

        Raises:
            UserError: it is damaged.
        """
        if not (folder / FILE).exists():
            return None
        tensors, header = load_tensors(folder / FILE, kind=KIND)
        if header.get("version") != VERSION:
            log.warning("%s was written by an older version and is left out: train again for reasons to doubt.", FILE)
            return None
        return cls._from_tensors(tensors, header, prior)

    @classmethod
    def load(cls, folder: Path, prior: ContentPrior) -> Familiarity:
        """Read it. Arguments as in ``find``.

        Raises:
            UserError: the avatar has none, it is of another version, or it is damaged.
        """
        tensors, header = load_tensors(folder / FILE, kind=KIND)
        if header.get("version") != VERSION:
            raise UserError(f"{folder / FILE} was written by another version.", "Train again.")
        return cls._from_tensors(tensors, header, prior)

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any], prior: ContentPrior
    ) -> Familiarity:
        found = {name: value.numpy() for name, value in tensors.items()}
        pick = lambda start: {n.removeprefix(start): v for n, v in found.items() if n.startswith(start)}  # noqa: E731
        named = [(str(stream), str(kind)) for stream, kind in header["statistics"]]
        told = sorted({(n.split(".")[0], n.split(".")[1]) for n in pick("foretold.")})
        bases = {name.split(".")[0] for name in pick("basis.")}
        model = StreamModel(
            {name: Basis(*(found[f"basis.{name}.{part}"] for part in _BASIS)) for name in sorted(bases)},
            {key: Foretelling(*(found[f"foretold.{key[0]}.{key[1]}.{part}"] for part in _TOLD)) for key in told},
            LipReader(found["lips"], header["usual"]),
        )
        knots = {key: found[f"knots.{key[0]}.{key[1]}"] for key in named}
        return cls(model, knots, found["strangest"], {n: torch.from_numpy(v) for n, v in pick("mean.").items()}, prior)


_BASIS = ("mean", "directions", "scale")
_TOLD = ("weights", "worth")
