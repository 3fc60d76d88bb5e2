"""Emotion teacher: co-attention over three acoustic levels (Zou et al., ICASSP 2022, arXiv 2203.15326; DESIGN §6).

Departures: the third level is made of the phone posteriors and log-mel that we have anyway instead of wav2vec 2.0, and
levels are pooled by mean and deviation, so that windows of any length go in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.fft import dct
from torch import Tensor, nn

from ua3dtalk.subject.speech_data import NUM_MEL, NUM_PHONES

EMBEDDING = 128
MFCC = 20
ACTIVE_NATS = 8.0  # 35 dB below the loudest frame
_WIDTHS = (48, 48, 32)


@dataclass(frozen=True)
class AcousticLevels:
    """A batch of windows at 50 Hz. B windows, F frames."""

    mfcc: Float[Tensor, "b f 20"]
    """Cepstral coefficients of the levelled spectrum."""
    mel: Float[Tensor, "b f 80"]
    """Log-mel, levelled: about its mean over active frames."""
    phones: Float[Tensor, "b f 42"]
    """Roots of phone posteriors."""
    active: Bool[Tensor, "b f"]
    """Frames within 35 dB of the loudest."""


def acoustic_levels(mel: Float[np.ndarray, "a 80"], phones: Float[np.ndarray, "a 42"]) -> AcousticLevels:
    """The teacher's input from one window of speech features (100 Hz); the absolute level is taken out.

    Returns:
        A batch of one.
    """
    even = len(mel) // 2 * 2
    if even < 2:
        raise ValueError(f"An emotion window needs at least 2 frames, got {len(mel)}.")
    mel = mel[:even].reshape(-1, 2, NUM_MEL).mean(axis=1)
    phones = np.sqrt(phones[:even].reshape(-1, 2, NUM_PHONES).mean(axis=1))
    level = mel.mean(axis=1)
    active = level > level.max() - ACTIVE_NATS
    mel = np.maximum(mel - level[active].mean(), -ACTIVE_NATS)
    mfcc = np.asarray(dct(mel, axis=1, norm="ortho"))[:, :MFCC]

    def batch(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]

    return AcousticLevels(batch(mfcc), batch(mel), batch(phones), torch.from_numpy(active)[None])


def collate(windows: list[AcousticLevels]) -> AcousticLevels:
    """Windows of different lengths as one batch; the added frames are not active."""
    longest = max(w.mel.shape[1] for w in windows)

    def pad(x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 0, 0, longest - x.shape[1]))

    return AcousticLevels(
        torch.cat([pad(w.mfcc) for w in windows]),
        torch.cat([pad(w.mel) for w in windows]),
        torch.cat([pad(w.phones) for w in windows]),
        torch.cat([pad(w.active[..., None].float())[..., 0] > 0 for w in windows]),
    )


class EmotionNet(nn.Module):
    """MFCC through a BiLSTM, spectrogram through a CNN, speech frames by attention from both; 128 values; classes."""

    mfcc_mean: Tensor
    mfcc_std: Tensor

    def __init__(self, num_classes: int, dropout: float = 0.35) -> None:
        super().__init__()
        a, b, c = _WIDTHS
        self.register_buffer("mfcc_mean", torch.zeros(MFCC))
        self.register_buffer("mfcc_std", torch.ones(MFCC))
        self.drop = nn.Dropout(dropout)
        self.rnn = nn.LSTM(MFCC, 32, batch_first=True, bidirectional=True)
        self.mfcc_out = nn.Linear(2 * (64 + MFCC), a)
        self.convs = nn.Sequential(
            nn.Conv2d(1, 12, 5, (2, 2), 2), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, (1, 2), 1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 32, 3, (2, 2), 1), nn.BatchNorm2d(32), nn.ReLU(),
        )  # fmt: skip
        self.mel_out = nn.Linear(2 * 32 * 10, b)
        self.key = nn.Linear(NUM_PHONES + NUM_MEL, 32)
        self.query = nn.Linear(a + b, 32)
        self.frames_out = nn.Linear(NUM_PHONES + NUM_MEL, c)
        self.head = nn.Linear(EMBEDDING, num_classes)

    def forward(self, x: AcousticLevels) -> tuple[Float[Tensor, "b 128"], Float[Tensor, "b c"]]:
        """Embedding and class logits of each window."""
        embedding = self.embed(x)
        return embedding, self.head(self.drop(embedding))

    def embed(self, x: AcousticLevels) -> Float[Tensor, "b 128"]:
        """``f_emo`` of each window; values in -1..1."""
        mfcc = (x.mfcc - self.mfcc_mean) / self.mfcc_std
        states, _ = self.rnn(self.drop(mfcc))
        first = torch.tanh(self.mfcc_out(self.drop(_pool(torch.cat([states, mfcc], dim=-1), x.active))))
        maps = self.convs(x.mel[:, None] / 3)  # [B, 32, F/4, 10]
        quarter = nn.functional.max_pool1d(x.active[:, None].float(), 4, 4, ceil_mode=True)[:, 0] > 0
        flat = maps.permute(0, 2, 1, 3).flatten(2)[:, : quarter.shape[1]]
        second = torch.tanh(self.mel_out(self.drop(_pool(flat, quarter[:, : flat.shape[1]]))))
        frames = torch.cat([x.phones, x.mel / 3], dim=-1)
        query = self.query(torch.cat([first, second], dim=-1))
        score = (self.key(frames) @ query[..., None])[..., 0] / 32**0.5
        weight = torch.softmax(score.masked_fill(~x.active, -1e4), dim=-1)
        third = torch.tanh(self.frames_out((weight[..., None] * frames).sum(dim=1)))
        return torch.cat([first, second, third], dim=-1)


def _pool(x: Float[Tensor, "b f c"], mask: Bool[Tensor, "b f"]) -> Float[Tensor, "b d"]:
    """Mean and standard deviation over the masked frames."""
    weight = mask[..., None].to(x.dtype)
    count = weight.sum(dim=1).clamp(min=1)
    mean = (x * weight).sum(dim=1) / count
    variance = ((x - mean[:, None]) ** 2 * weight).sum(dim=1) / count
    return torch.cat([mean, torch.sqrt(variance + 1e-5)], dim=-1)
