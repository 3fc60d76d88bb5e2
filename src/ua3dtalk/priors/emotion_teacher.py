"""The trained emotion teacher: a window slides over the sound; embedding, probabilities and confidence per frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ua3dtalk.core.checkpoint import load_into, load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_model import EMBEDDING, EmotionNet, acoustic_levels
from ua3dtalk.subject.speech_data import SpeechFeatures

KIND = "prior.emotion"
SHIPPED = Path(__file__).parent / "data" / "emotion.safetensors"
NEUTRAL = "neutral"
WINDOW_S = 3.0
HOP_S = 0.5
MIN_WINDOW_S = 0.5
DECAY = 0.8
MIN_VOICED = 0.1


@dataclass(frozen=True)
class HeardEmotion:
    """What the teacher hears around each video frame."""

    embedding: Float32[np.ndarray, "t 128"]
    """``f_emo``; the neutral centroid in near-silence."""
    probabilities: Float32[np.ndarray, "t l"]
    """Class probabilities, rows sum to 1."""
    confidence: Float32[np.ndarray, " t"]
    """Largest probability; 0 in near-silence."""


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

    @torch.no_grad()
    def hear(self, speech: SpeechFeatures, voiced: Float32[np.ndarray, " t"], fps: float = 25.0) -> HeardEmotion:
        """Embedding, probabilities and confidence around each frame.

        A window of 3 s is read every 0.5 s; results are smoothed by an exponential average (.8) from both ends, so that
        they do not lag, and interpolated. Windows with less than 10 % voice count as neutral with no confidence.

        Args:
            speech: Features of the whole sound.
            voiced: Voice activity of T frames.
            fps: Video frames per second.

        Raises:
            UserError: the features come from another encoder.
        """
        if speech.encoder != self.encoder:
            raise UserError(
                f"The speech features come from {speech.encoder!r}, the emotion teacher from {self.encoder!r}.",
                "Prepare the subject again, or train a teacher for this encoder.",
            )
        centres_s = np.arange(0, max(len(voiced) / fps, HOP_S), HOP_S)
        rows = np.stack([self._window(speech, voiced, centre, fps) for centre in centres_s])
        rows = _smooth(rows)
        times_s = np.arange(len(voiced)) / fps
        rows = np.stack([np.interp(times_s, centres_s, column) for column in rows.T], axis=1).astype(np.float32)
        embedding, probabilities, heard = rows[:, :EMBEDDING], rows[:, EMBEDDING:-1], rows[:, -1]
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        return HeardEmotion(embedding, probabilities, probabilities.max(axis=1) * heard)

    def _window(self, speech: SpeechFeatures, voiced: np.ndarray, centre_s: float, fps: float) -> np.ndarray:
        """Embedding, probabilities and 1 (heard) or 0 (near-silence) of one window."""
        low = max(0, round((centre_s - WINDOW_S / 2) * speech.rate_hz))
        high = min(speech.num_audio_frames, round((centre_s + WINDOW_S / 2) * speech.rate_hz))
        around = voiced[max(0, round((centre_s - WINDOW_S / 2) * fps)) : round((centre_s + WINDOW_S / 2) * fps)]
        if high - low < MIN_WINDOW_S * speech.rate_hz or not len(around) or around.mean() < MIN_VOICED:
            certain = np.array([label == NEUTRAL for label in self.labels], np.float32)
            return np.concatenate([self.neutral, certain, [0.0]])
        embedding, logits = self.net(acoustic_levels(speech.mel[low:high], speech.phones[low:high]))
        return np.concatenate([embedding[0].numpy(), logits[0].softmax(dim=0).numpy(), [1.0]])

    def tensors(self) -> dict[str, Tensor]:
        """Weights and centroids by name."""
        return {f"net.{k}": v for k, v in self.net.state_dict().items()} | {
            "centroids": torch.from_numpy(self.centroids)
        }

    def header(self) -> dict[str, Any]:
        """Labels, encoder and facts."""
        return {"labels": list(self.labels), "encoder": self.encoder, "facts": self.facts}

    @staticmethod
    def from_tensors(tensors: dict[str, Tensor], header: dict[str, Any], where: str) -> EmotionTeacher:
        """The inverse of ``tensors`` and ``header``."""
        labels = tuple(header["labels"])
        net = EmotionNet(len(labels))
        weights = {name.removeprefix("net."): t for name, t in tensors.items() if name.startswith("net.")}
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


def _smooth(rows: Float[np.ndarray, "w c"]) -> Float[np.ndarray, "w c"]:
    """Exponential average with decay .8 from window to window, forwards and backwards."""
    ahead, back = rows.copy(), rows.copy()
    for i in range(1, len(rows)):
        ahead[i] = DECAY * ahead[i - 1] + (1 - DECAY) * rows[i]
        back[-1 - i] = DECAY * back[-i] + (1 - DECAY) * rows[-1 - i]
    return (ahead + back) / 2
