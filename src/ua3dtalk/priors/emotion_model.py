"""Emotion teacher: co-attention over acoustic levels (Zou et al., ICASSP 2022, arXiv 2203.15326; DESIGN §6).

The speech-model level takes the hidden states of wav2vec 2.0 or its kin where the encoder has them. Departures: without
them it is made of the phone posteriors and log-mel that we have anyway; functionals are a fourth level, and a linear
discriminant on them votes beside the network; levels are pooled by mean and deviation, so that windows of any length
go in.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.fft import dct
from torch import Tensor, nn

from ua3dtalk.priors.emotion_functionals import NUM_FUNCTIONALS, VOICED, functionals
from ua3dtalk.priors.emotion_tracks import ACTIVE_NATS
from ua3dtalk.subject.speech_data import NUM_MEL, NUM_PHONES, SpeechFeatures

EMBEDDING = 128
STEP = 4
"""Audio frames in a frame of the network (25 Hz)."""
MFCC = 20
NUM_FRAME = MFCC + 6
NUM_BANDS = NUM_MEL // 2
LEVEL = EMBEDDING // 4
CENTRE_SEMITONES = 36.0
FAR = 5.0
"""Functionals and hidden states are cut this many deviations from the mean: noise must not carry them away."""


@dataclass(frozen=True)
class AcousticLevels:
    """A batch of windows at 25 Hz. B windows, F frames."""

    frames: Float[Tensor, "b f 26"]
    """Cepstral coefficients of the levelled spectrum; pitch, voicing, periodicity, tilts, cepstral peak."""
    bands: Float[Tensor, "b f 40"]
    """Log-mel, levelled: about its mean over active frames."""
    phones: Float[Tensor, "b f 42"]
    """Roots of phone posteriors."""
    hidden: Float[Tensor, "b f h"]
    """Hidden states of the encoder's speech model; H = 0 where it has none."""
    functionals: Float[Tensor, "b 620"]
    """Statistics of the window."""
    active: Bool[Tensor, "b f"]
    """Frames within 35 dB of the loudest."""

    def __getitem__(self, chosen: np.ndarray) -> AcousticLevels:
        """Some of the windows."""
        index = torch.from_numpy(chosen)
        return AcousticLevels(*(getattr(self, field.name)[index] for field in fields(self)))

    def __len__(self) -> int:
        """B."""
        return len(self.functionals)


def acoustic_levels(speech: SpeechFeatures, low: int = 0, high: int | None = None) -> AcousticLevels:
    """The teacher's input from one window of speech features; the absolute level is taken out.

    Args:
        speech: Features at 100 Hz.
        low: First frame of the window.
        high: One past its last frame; None for all.

    Returns:
        A batch of one.
    """
    mel, voice, phones = (track[low:high] for track in (speech.mel, speech.voice, speech.phones))
    hidden = np.zeros((len(mel), 0)) if speech.hidden is None else speech.hidden[low:high].astype(np.float32)
    even = len(mel) // STEP * STEP
    if even < 2 * STEP:
        raise ValueError(f"An emotion window needs at least {2 * STEP} frames, got {len(mel)}.")
    bands = mel[:even].reshape(-1, STEP, NUM_BANDS, 2).mean(axis=(1, 3))
    level = bands.mean(axis=1)
    active = level > level.max() - ACTIVE_NATS
    bands = np.maximum(bands - level[active].mean(), -ACTIVE_NATS)
    cepstra = np.asarray(dct(bands, axis=1, norm="ortho"))[:, :MFCC]
    found = (
        np.concatenate([cepstra, _voice_frames(voice[:even])], axis=1),
        bands,
        np.sqrt(phones[:even].reshape(-1, STEP, NUM_PHONES).mean(axis=1)),
        hidden[:even].reshape(even // STEP, STEP, hidden.shape[1]).mean(axis=1),
        functionals(mel, voice, phones),
    )
    frames, bands, roots, states, statistics = (
        torch.from_numpy(np.ascontiguousarray(x, np.float32))[None] for x in found
    )
    return AcousticLevels(frames, bands, roots, states, statistics, torch.from_numpy(active)[None])


def _voice_frames(voice: Float[np.ndarray, "a 9"]) -> Float[np.ndarray, "f 6"]:
    """Pitch where voiced (octaves about 220 Hz), share of voiced frames, periodicity, tilts, cepstral peak."""
    by_step = voice.reshape(-1, STEP, voice.shape[1])
    voiced = by_step[..., 1] > VOICED
    share = voiced.mean(axis=1)
    pitch = ((by_step[..., 0] - CENTRE_SEMITONES) * voiced).sum(axis=1) / np.maximum(voiced.sum(axis=1), 1) / 12
    means = by_step.mean(axis=1)
    return np.stack([pitch, share, means[:, 1], means[:, 2] / 10, means[:, 4] / 20, means[:, 5] / 2], axis=1)


def collate(windows: list[AcousticLevels]) -> AcousticLevels:
    """Windows of different lengths as one batch; the added frames are not active."""
    longest = max(w.bands.shape[1] for w in windows)

    def pad(x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 0, 0, longest - x.shape[1]))

    return AcousticLevels(
        torch.cat([pad(w.frames) for w in windows]),
        torch.cat([pad(w.bands) for w in windows]),
        torch.cat([pad(w.phones) for w in windows]),
        torch.cat([pad(w.hidden) for w in windows]),
        torch.cat([w.functionals for w in windows]),
        torch.cat([pad(w.active[..., None].float())[..., 0] > 0 for w in windows]),
    )


class EmotionNet(nn.Module):
    """MFCC and voice through a BiLSTM, spectrogram through a CNN, functionals through a layer, phones and mel or hidden
    states by attention from all three; together 128 values. A linear discriminant on functionals votes too.

    Args:
        num_classes: Emotions.
        dropout: While training.
        hidden: H, size of the hidden states that it listens to; 0 for phones and mel.
    """

    frame_mean: Tensor
    frame_std: Tensor
    functional_mean: Tensor
    functional_std: Tensor
    hidden_mean: Tensor
    hidden_std: Tensor
    discriminant: Tensor
    discriminant_bias: Tensor
    intensity: Tensor
    intensity_bias: Tensor
    intensity_scale: Tensor
    shares: Tensor

    def __init__(self, num_classes: int, dropout: float = 0.4, hidden: int = 0) -> None:
        super().__init__()
        self.hidden = hidden
        heard = (("hidden", hidden),) if hidden else ()
        for name, size in (("frame", NUM_FRAME), ("functional", NUM_FUNCTIONALS), *heard):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))
        self.register_buffer("discriminant", torch.zeros(NUM_FUNCTIONALS, num_classes))
        self.register_buffer("discriminant_bias", torch.zeros(num_classes))
        self.register_buffer("intensity", torch.zeros(NUM_FUNCTIONALS))
        self.register_buffer("intensity_bias", torch.zeros(()))
        self.register_buffer("intensity_scale", torch.ones(()))
        self.register_buffer("shares", torch.tensor([1.0, 0.3]))
        self.drop = nn.Dropout(dropout)
        self.rnn = nn.LSTM(NUM_FRAME, 24, batch_first=True, bidirectional=True)
        self.rnn_out = nn.Linear(2 * (48 + NUM_FRAME), LEVEL)
        self.convs = nn.Sequential(
            nn.Conv2d(1, 12, (3, 5), (2, 2), (1, 2)), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 20, 3, (1, 2), 1), nn.BatchNorm2d(20), nn.ReLU(),
            nn.Conv2d(20, 24, 3, (2, 2), 1), nn.BatchNorm2d(24), nn.ReLU(),
        )  # fmt: skip
        self.convs_out = nn.Linear(2 * 24 * 5, LEVEL)
        self.functionals_out = nn.Linear(NUM_FUNCTIONALS, LEVEL)
        self.key = nn.Linear(hidden or NUM_PHONES + NUM_BANDS, 24)
        self.query = nn.Linear(3 * LEVEL, 24)
        self.speech_out = nn.Linear(hidden or NUM_PHONES + NUM_BANDS, LEVEL)
        self.head = nn.Linear(EMBEDDING, num_classes)

    def forward(self, x: AcousticLevels) -> tuple[Float[Tensor, "b 128"], Float[Tensor, "b c"]]:
        """Embedding and the network's own class logits of each window: what training sees."""
        embedding = self.embed(x)
        return embedding, self.head(self.drop(embedding))

    def hear(self, x: AcousticLevels) -> tuple[Float[Tensor, "b 128"], Float[Tensor, "b c"], Float[Tensor, " b"]]:
        """Embedding, class probabilities of network and discriminant together, and intensity 0..1."""
        embedding, logits = self(x)
        logits = self.shares[0] * logits + self.shares[1] * self.votes(x)
        return embedding, logits.softmax(dim=-1), torch.sigmoid(self.intensities(x) / self.intensity_scale)

    def share(self, network: float, votes: float) -> None:
        """Set the factors of the two kinds of logits."""
        self.shares.copy_(torch.tensor([network, votes]))

    def votes(self, x: AcousticLevels) -> Float[Tensor, "b c"]:
        """Log posteriors of the discriminant, up to a constant."""
        return self.standard(x) @ self.discriminant + self.discriminant_bias

    def intensities(self, x: AcousticLevels) -> Float[Tensor, " b"]:
        """Log odds of strongly against normally acted."""
        return self.standard(x) @ self.intensity + self.intensity_bias

    def standard(self, x: AcousticLevels) -> Float[Tensor, "b 620"]:
        """Functionals in deviations from the training mean."""
        return ((x.functionals - self.functional_mean) / self.functional_std).clamp(-FAR, FAR)

    def embed(self, x: AcousticLevels) -> Float[Tensor, "b 128"]:
        """``f_emo`` of each window; values in -1..1."""
        frames = (x.frames - self.frame_mean) / self.frame_std * x.active[..., None]
        states, _ = self.rnn(self.drop(frames))
        first = torch.tanh(self.rnn_out(self.drop(_pool(torch.cat([states, frames], dim=-1), x.active))))
        maps = self.convs(x.bands[:, None] / 3)  # [B, 24, F/4, 5]
        quarter = nn.functional.max_pool1d(x.active[:, None].float(), 4, 4, ceil_mode=True)[:, 0] > 0
        flat = maps.permute(0, 2, 1, 3).flatten(2)
        second = torch.tanh(self.convs_out(self.drop(_pool(flat, quarter))))
        third = torch.tanh(self.functionals_out(self.drop(self.standard(x))))
        if self.hidden:
            speech = ((x.hidden - self.hidden_mean) / self.hidden_std).clamp(-FAR, FAR)
        else:
            speech = torch.cat([x.phones, x.bands / 3], dim=-1)
        query = self.query(torch.cat([first, second, third], dim=-1))
        score = (self.key(speech) @ query[..., None])[..., 0] / 24**0.5
        weight = torch.softmax(score.masked_fill(~x.active, -1e4), dim=-1)
        fourth = torch.tanh(self.speech_out((weight[..., None] * speech).sum(dim=1)))
        return torch.cat([first, second, third, fourth], dim=-1)


def _pool(x: Float[Tensor, "b f c"], mask: Bool[Tensor, "b f"]) -> Float[Tensor, "b d"]:
    """Mean and standard deviation over the masked frames."""
    weight = mask[..., None].to(x.dtype)
    count = weight.sum(dim=1).clamp(min=1)
    mean = (x * weight).sum(dim=1) / count
    variance = ((x - mean[:, None]) ** 2 * weight).sum(dim=1) / count
    return torch.cat([mean, torch.sqrt(variance + 1e-5)], dim=-1)
