"""Style prior ``f_style``: what this person's face does that the lip expert cannot say (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from ua3dtalk.priors.person import Fold
from ua3dtalk.subject.speech_data import NUM_MEL, SpeechFeatures
from ua3dtalk.subject.track_data import NUM_LOWER, UPPER_NAMES

NUM_FEATURES = 64
NUM_TARGETS = NUM_LOWER + len(UPPER_NAMES)
FRAMES_PER_PICTURE = 4
CHUNK, OVERLAP = 500, 50
SMALL = 1e-3
"""Share of the largest variance below which a direction of the features counts as empty."""


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """How the style network is trained."""

    steps: int = 250
    """Optimizer steps of each of the five fits."""
    batch: int = 16
    """Sequences in a batch."""
    length: int = 50
    """Video frames of a sequence."""
    learning_rate: float = 3e-3
    """Peak of the one-cycle schedule."""


class StyleNet(nn.Module):
    """Log-mel at 100 Hz through two strided convolutions and a BiLSTM to 64 values per frame, fused with ``f_exp``."""

    mel_mean: Tensor
    mel_std: Tensor
    used: Tensor

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.register_buffer("mel_mean", torch.zeros(NUM_MEL))
        self.register_buffer("mel_std", torch.ones(NUM_MEL))
        self.register_buffer("used", torch.ones(()))  # 0: the avatar is not given the style of this person
        self.convs = nn.Sequential(
            nn.Conv1d(NUM_MEL, width, 5, 2, 2), nn.ReLU(), nn.Dropout(0.3), nn.Conv1d(width, width, 5, 2, 2), nn.ReLU()
        )
        self.rnn = nn.LSTM(width, NUM_FEATURES // 2, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.3)
        self.fuse_content = nn.Linear(64, NUM_TARGETS)
        self.fuse_style = nn.Linear(NUM_FEATURES, NUM_TARGETS, bias=False)
        nn.init.zeros_(self.fuse_style.weight)

    def style(self, mel: Float[Tensor, "b a 80"]) -> Float[Tensor, "b t 64"]:
        """``f_style`` of sequences of 4 T mel frames; values in -1..1."""
        normal = (mel - self.mel_mean) / self.mel_std
        return self.rnn(self.drop(self.convs(normal.transpose(1, 2)).transpose(1, 2)))[0]

    def forward(self, mel: Float[Tensor, "b a 80"], content: Float[Tensor, "b t 64"]) -> Float[Tensor, "b t 19"]:
        """The person's lower and upper face from content (frozen) and style."""
        return self.fuse_content(self.drop(content)) + self.fuse_style(self.drop(self.style(mel)))


def fit_style(
    speech: SpeechFeatures,
    content: Float32[np.ndarray, "t 64"],
    targets: Float32[np.ndarray, "t 19"],
    frames: Sequence[int],
    config: StyleConfig,
    rng: np.random.Generator,
    *,
    with_style: bool = True,
) -> StyleNet:
    """Train on stretches of ``frames`` (others are not looked at) with L1 on the whole face.

    Args:
        speech: Speech of the whole video, in the picture's time.
        content: ``f_exp``, which stays as it is.
        targets: Lower and upper face.
        frames: Frames to learn from.
        config: Settings.
        rng: Draws the weights' start, the stretches and the noise.
        with_style: Without, only the layer over content is trained; style stays at weight 0.

    Returns:
        The network, ready to use.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())  # layers and dropout draw from torch's own generator
        net = StyleNet().train()
        mel = torch.from_numpy(_picture_mel(speech, len(targets)))
        seen = mel.reshape(len(targets), FRAMES_PER_PICTURE, NUM_MEL)[torch.as_tensor(list(frames))]
        net.mel_mean.copy_(seen.mean(dim=(0, 1)))
        net.mel_std.copy_(seen.std(dim=(0, 1)) + 1e-3)
        starts, length = _starts(frames, config.length, [where.start for _, where in speech.recordings(len(targets))])
        optimizer = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=3e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=config.steps)
        face, frozen = torch.from_numpy(targets), torch.from_numpy(content)
        for _ in range(config.steps):
            chosen = [int(starts[i]) for i in rng.integers(len(starts), size=config.batch)]
            sound = torch.stack([mel[4 * s : 4 * (s + length)] for s in chosen])
            sound = sound + 0.3 * torch.randn(sound.shape, generator=generator)
            sound = sound + 0.8 * (torch.rand((len(chosen), 1, 1), generator=generator) - 0.5)
            known = torch.stack([frozen[s : s + length] for s in chosen])
            wanted = torch.stack([face[s : s + length] for s in chosen])
            made = net(sound, known) if with_style else net.fuse_content(net.drop(known))
            loss = (made - wanted).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return net.eval()


def _starts(frames: Sequence[int], length: int, recordings: Sequence[int]) -> tuple[np.ndarray, int]:
    """Where sequences without a gap begin, and their length (shorter when no stretch is long enough).

    Args:
        frames: Ascending.
        length: Wanted.
        recordings: First frame of each recording: no sequence reaches from one into the next.
    """
    index = np.asarray(frames)
    recording = np.searchsorted(recordings, index, side="right")
    while length > 1:
        first, last = slice(max(0, len(index) - length + 1)), slice(length - 1, None)
        whole = (index[last] - index[first] == length - 1) & (recording[last] == recording[first])
        starts = index[first][whole]
        if len(starts):
            return starts, length
        length //= 2
    return index, 1


def _picture_mel(speech: SpeechFeatures, num_frames: int) -> Float32[np.ndarray, "a 80"]:
    """Four mel frames for each video frame; the last one is repeated."""
    index = np.minimum(np.arange(FRAMES_PER_PICTURE * num_frames), speech.num_audio_frames - 1)
    return speech.mel[index]


@torch.no_grad()
def style_features(net: StyleNet, speech: SpeechFeatures, num_frames: int) -> Float32[np.ndarray, "t 64"]:
    """``f_style`` of a recording of any length, in overlapping chunks of 20 s."""
    if speech.joints:
        return np.concatenate([style_features(net, one, len(where)) for one, where in speech.recordings(num_frames)])
    mel = torch.from_numpy(_picture_mel(speech, num_frames))
    out = np.zeros((num_frames, NUM_FEATURES), np.float32)
    for start in range(0, num_frames, CHUNK):
        low, high = max(0, start - OVERLAP), min(num_frames, start + CHUNK + OVERLAP)
        stop = min(num_frames, start + CHUNK)
        out[start:stop] = net.style(mel[None, 4 * low : 4 * high])[0, start - low : stop - low].numpy()
    return out


@torch.no_grad()
def whole_face(
    net: StyleNet, style: Float32[np.ndarray, "t 64"], content: Float32[np.ndarray, "t 64"]
) -> Float32[np.ndarray, "t 19"]:
    """What the style network makes of the face: for figures."""
    return (net.fuse_content(torch.from_numpy(content)) + net.fuse_style(torch.from_numpy(style))).numpy()


def given_style(net: StyleNet, style: Float32[np.ndarray, "t 64"]) -> Float32[np.ndarray, "t 64"]:
    """What the avatar is given: the features, or zeros where style did not help the person."""
    return style * np.float32(net.used)


def out_of_fold_style(
    final: Float32[np.ndarray, "t 64"],
    of_fold: Float32[np.ndarray, "t 64"],
    fold: Fold,
) -> Float32[np.ndarray, "h 64"]:
    """Features of a held-out block from the fold's own network, turned into the final network's coordinates.

    Hidden units of two trainings have nothing to do with each other. Both are whitened on the frames outside the block,
    and the rotation between them that fits best (Procrustes) makes them comparable and as large as the final network's:
    a regression would shrink them, and new speech would then look three times as strange as anything in training.
    """
    fit, held = np.asarray(fold.fit), np.asarray(fold.held)
    theirs, ours = _Whitening.of(of_fold[fit]), _Whitening.of(final[fit])
    left, _, right = np.linalg.svd(theirs.whiten(of_fold[fit]).T @ ours.whiten(final[fit]))
    return ours.colour(theirs.whiten(of_fold[held]) @ left @ right).astype(np.float32)


@dataclass(frozen=True)
class _Whitening:
    """Rows of unit covariance, and back; directions that hardly vary are not blown up."""

    mean: np.ndarray
    directions: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> _Whitening:
        away = (rows - rows.mean(axis=0)).astype(np.float64)
        variances, directions = np.linalg.eigh(away.T @ away / len(rows))
        return cls(rows.mean(axis=0), directions, np.sqrt(np.maximum(variances, SMALL * variances[-1]) + 1e-12))

    def whiten(self, rows: np.ndarray) -> np.ndarray:
        return (rows - self.mean) @ self.directions / self.deviations

    def colour(self, rows: np.ndarray) -> np.ndarray:
        return (rows * self.deviations) @ self.directions.T + self.mean
