"""The trained emotion teacher: a window slides over the sound; embedding, probabilities and axes per frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ua3dtalk.core.checkpoint import load_into, load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_functionals import VOICED
from ua3dtalk.priors.emotion_model import EMBEDDING, EmotionNet, acoustic_levels, collate
from ua3dtalk.subject.labels import NEUTRAL
from ua3dtalk.subject.speech_data import VOICE_NAMES, SpeechFeatures

KIND = "prior.emotion"
SHIPPED = Path(__file__).parent / "data" / "emotion.safetensors"
WINDOW_S = 3.0
HOP_S = 0.5
MIN_WINDOW_S = 0.5
DECAY = 0.8
MIN_VOICED = 0.1
MIN_PERIODIC = 0.08
"""Share of frames with a pitch below which there is no voice: noise has 0 to .02, speech .3 and more."""
BATCH = 32
VERSION = 2
"""Of the network; 1 had no functionals."""
AXES = {
    "angry": (0.8, -0.6), "happy": (0.6, 0.8), "fearful": (0.7, -0.6), "surprised": (0.7, 0.2),
    "disgusted": (0.2, -0.6), "contempt": (0.1, -0.5), "sad": (-0.5, -0.7),
    "bored": (-0.7, -0.3), "calm": (-0.6, 0.3), "neutral": (-0.2, 0.0),
}  # fmt: skip
"""Arousal and valence of labels, -1..1: places on the circumplex (Russell, 1980), not measured here."""


@dataclass(frozen=True)
class HeardEmotion:
    """What the teacher hears around each video frame."""

    embedding: Float32[np.ndarray, "t 128"]
    """``f_emo``; the neutral centroid in near-silence."""
    probabilities: Float32[np.ndarray, "t l"]
    """Class probabilities, rows sum to 1."""
    confidence: Float32[np.ndarray, " t"]
    """Largest probability; 0 in near-silence."""
    arousal: Float32[np.ndarray, " t"]
    """Calm -1 to excited 1: mean of the labels' places on the axis by probability; 0 in near-silence."""
    valence: Float32[np.ndarray, " t"]
    """Unpleasant -1 to pleasant 1; 0 in near-silence."""
    intensity: Float32[np.ndarray, " t"]
    """How strongly it is acted, 0..1; 0 in near-silence."""


class EmotionTeacher:
    """Network, labels and their centroids.

    Args:
        net: Trained network.
        labels: Class names, in the network's order.
        centroids: Mean embedding of each label's training utterances.
        encoder: Speech encoder that it was trained with.
        facts: What it was trained on, and figures; JSON values.
    """

    def __init__(
        self,
        net: EmotionNet,
        labels: tuple[str, ...],
        centroids: Float[Tensor, "l 128"],
        encoder: str,
        facts: dict[str, Any],
    ) -> None:
        self.net = net.eval()
        self.labels = labels
        self.centroids = centroids.float().numpy()
        self.encoder = encoder
        self.facts = facts

    @property
    def neutral(self) -> Float32[np.ndarray, " 128"]:
        """Centroid of neutral speech."""
        return self.centroids[self.labels.index(NEUTRAL)]

    @property
    def axes(self) -> Float32[np.ndarray, "l 2"]:
        """Arousal and valence of each label; zeros where nobody knows."""
        return np.array([AXES.get(label, (0.0, 0.0)) for label in self.labels], np.float32)

    def hear(self, speech: SpeechFeatures, voiced: Float32[np.ndarray, " t"], fps: float = 25.0) -> HeardEmotion:
        """Embedding, probabilities, axes and confidence around each frame.

        A window of 3 s is read every 0.5 s; results are smoothed by an exponential average (.8) from both ends, so that
        they do not lag, and interpolated. Windows with less than 10 % voice, or 8 % of frames with a pitch, count as
        neutral with no confidence. Of joined recordings, each is heard by itself.

        Args:
            speech: Features of the whole sound.
            voiced: Voice activity of T frames.
            fps: Video frames per second.

        Raises:
            UserError: the features come from another encoder.
        """
        if not speech.holds(self.encoder):
            raise UserError(
                f"The speech features come from {speech.encoder!r}, the emotion teacher from {self.encoder!r}.",
                "Prepare the subject again, or train a teacher for this encoder.",
            )
        if speech.joints:
            return _joined([self.hear(one, voiced[where], fps) for one, where in speech.recordings(len(voiced), fps)])
        centres_s = np.arange(0, max(len(voiced) / fps, HOP_S), HOP_S)
        rows = _smooth(self._windows(speech, voiced, centres_s, fps))
        times_s = np.arange(len(voiced)) / fps
        rows = np.stack([np.interp(times_s, centres_s, column) for column in rows.T], axis=1).astype(np.float32)
        embedding, probabilities = rows[:, :EMBEDDING], rows[:, EMBEDDING:-2]
        intensity, heard = rows[:, -2], rows[:, -1]
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        arousal, valence = ((probabilities @ self.axes) * heard[:, None]).T
        return HeardEmotion(
            embedding,
            probabilities,
            confidence=probabilities.max(axis=1) * heard,
            arousal=arousal,
            valence=valence,
            intensity=intensity,
        )

    @torch.no_grad()
    def _windows(
        self, speech: SpeechFeatures, voiced: np.ndarray, centres_s: np.ndarray, fps: float
    ) -> Float[np.ndarray, "w c"]:
        """Embedding, probabilities, intensity and 1 (heard) or 0 (near-silence) of each window."""
        nobody = np.concatenate([self.neutral, [label == NEUTRAL for label in self.labels], [0.0, 0.0]])
        rows = np.tile(nobody.astype(np.float32), (len(centres_s), 1))
        spans = {i: self._span(speech, voiced, centre, fps) for i, centre in enumerate(centres_s)}
        spans = {i: span for i, span in spans.items() if span is not None}
        spoken = list(spans)
        for start in range(0, len(spoken), BATCH):
            chosen = spoken[start : start + BATCH]
            found = self.net.hear(collate([acoustic_levels(speech, *spans[i]) for i in chosen]))
            columns = [x.reshape(len(chosen), -1).numpy() for x in found]
            rows[chosen] = np.concatenate([*columns, np.ones((len(chosen), 1), np.float32)], axis=1)
        return rows

    def _span(self, speech: SpeechFeatures, voiced: np.ndarray, centre_s: float, fps: float) -> tuple[int, int] | None:
        """Audio frames of a window, or None where nobody speaks."""
        low_s, high_s = centre_s - WINDOW_S / 2, centre_s + WINDOW_S / 2
        low, high = max(0, round(low_s * speech.rate_hz)), min(speech.num_audio_frames, round(high_s * speech.rate_hz))
        around = voiced[max(0, round(low_s * fps)) : round(high_s * fps)]
        if high - low < MIN_WINDOW_S * speech.rate_hz or not len(around) or around.mean() < MIN_VOICED:
            return None
        periodic = speech.voice[low:high, VOICE_NAMES.index("periodicity")] > VOICED
        return (low, high) if periodic.mean() >= MIN_PERIODIC else None

    def tensors(self) -> dict[str, Tensor]:
        """Weights and centroids by name."""
        return {f"net.{k}": v for k, v in self.net.state_dict().items()} | {
            "centroids": torch.from_numpy(self.centroids)
        }

    def header(self) -> dict[str, Any]:
        """Version, labels, encoder and facts."""
        return {"version": VERSION, "labels": list(self.labels), "encoder": self.encoder, "facts": self.facts}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor], header: dict[str, Any], where: str) -> EmotionTeacher:
        """The inverse of ``tensors`` and ``header``.

        Raises:
            UserError: of another version of the network, or incomplete.
        """
        if header.get("version") != VERSION:
            raise UserError(
                f"{where} holds an emotion teacher of version {header.get('version', 1)}, this is version {VERSION}.",
                "Prepare and train again, or make the teacher anew with `ua3dtalk priors train-emotion`.",
            )
        labels = tuple(header["labels"])
        weights = {name.removeprefix("net."): t for name, t in tensors.items() if name.startswith("net.")}
        net = EmotionNet(len(labels), hidden=len(weights.get("hidden_mean", ())))
        load_into(net, weights, where)
        return EmotionTeacher(net, labels, tensors["centroids"], header["encoder"], header["facts"])

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        save_tensors(path, self.tensors(), kind=KIND, header=self.header())

    @staticmethod
    def load(path: Path = SHIPPED) -> EmotionTeacher:
        """Read weights; by default those that come with the package.

        Raises:
            UserError: missing, damaged, altered, or of another kind.
        """
        tensors, header = load_tensors(path, kind=KIND)
        return EmotionTeacher.from_tensors(tensors, header, str(path))


def _joined(parts: Sequence[HeardEmotion]) -> HeardEmotion:
    """What was heard in one recording after the other."""
    columns = {
        field.name: np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(HeardEmotion)
    }
    return HeardEmotion(**columns)


def _smooth(rows: Float[np.ndarray, "w c"]) -> Float[np.ndarray, "w c"]:
    """Exponential average with decay .8 from window to window, forwards and backwards."""
    ahead, back = rows.copy(), rows.copy()
    for i in range(1, len(rows)):
        ahead[i] = DECAY * ahead[i - 1] + (1 - DECAY) * rows[i]
        back[-1 - i] = DECAY * back[-i] + (1 - DECAY) * rows[-1 - i]
    return (ahead + back) / 2
