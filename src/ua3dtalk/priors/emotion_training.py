"""Training the emotion teacher on acted speech, and measuring it on speakers it has not heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import nn

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log, track
from ua3dtalk.priors.emotion_model import AcousticLevels, EmotionNet, acoustic_levels, collate
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.sound_augmentation import perturb
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder, log_mel
from ua3dtalk.subject.speech_data import sample_at

NEUTRAL = "neutral"


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One acted utterance."""

    speaker: str
    """Utterances of one speaker are held out together."""
    label: str
    """Emotion, e.g. ``happy``."""
    audio: Float32[np.ndarray, " s"]
    """16 kHz mono."""


@dataclass(frozen=True, kw_only=True)
class EmotionConfig:
    """How the teacher is trained."""

    epochs: int = 26
    """Passes over the utterances, each time in another of their versions."""
    versions: int = 4
    """Perturbed versions of each utterance beside the original."""
    folds: int = 5
    """Groups of held-out speakers for the figures; 0 measures nothing."""
    batch: int = 32
    """Utterances in a batch."""
    learning_rate: float = 2.5e-3
    """Peak of the one-cycle schedule."""
    seed: int = 0
    """Of all randomness."""


def train_emotion(
    utterances: list[Utterance],
    out: Path | None = None,
    config: EmotionConfig = EmotionConfig(),
    encoder: SpeechEncoder | None = None,
    progress: Progress = Silent(),  # noqa: B008
) -> EmotionTeacher:
    """Train the teacher (DESIGN §6).

    Args:
        utterances: Acted speech with labels; ``neutral`` must be among them.
        out: Where to write the weights; nowhere when None.
        config: Training settings.
        encoder: Speech encoder; the default one when None.
        progress: Where to report.

    Returns:
        The teacher; ``facts`` holds the unweighted average recall over held-out speakers, without any speaker
        normalisation.

    Raises:
        UserError: fewer than two labels or speakers, or no neutral speech.
    """
    labels = sorted({u.label for u in utterances})
    speakers = sorted({u.speaker for u in utterances})
    if len(labels) < 2 or len(speakers) < 2 or NEUTRAL not in labels:
        raise UserError(
            f"The speech has labels {labels} of {len(speakers)} speakers.", "Give neutral and others, of 2+."
        )
    encoder = encoder or PhoneEncoder()
    rng = np.random.default_rng(config.seed)
    data = [_versions(u, encoder, config.versions, rng) for u in track(progress, "emotion: features", utterances)]
    truth = np.array([labels.index(u.label) for u in utterances])
    owner = np.array([speakers.index(u.speaker) for u in utterances])
    facts: dict[str, Any] = {"utterances": len(utterances), "speakers": len(speakers), "labels": labels}
    if config.folds:
        facts |= _held_out_figures(data, truth, owner, labels, config, progress)
    net = _fit(data, truth, len(labels), config)
    embeddings, _ = _run(net, [versions[0] for versions in data])
    centroids = np.stack([embeddings[truth == i].mean(axis=0) for i in range(len(labels))])
    teacher = EmotionTeacher(net, tuple(labels), torch.from_numpy(centroids), encoder.name, facts)
    if out is not None:
        teacher.save(out)
    log.info("emotion teacher: %s", {k: v for k, v in facts.items() if k != "confusion"})
    return teacher


def _versions(
    utterance: Utterance, encoder: SpeechEncoder, count: int, rng: np.random.Generator
) -> list[AcousticLevels]:
    """The utterance without its silent edges, and perturbed. Perturbed versions keep the phones of the original."""
    speech = encoder.encode(utterance.audio)
    level = speech.mel.mean(axis=1)
    active = np.flatnonzero(level > level.max() - 8)
    start, stop = max(0, active[0] - 3), min(len(level), active[-1] + 4)
    phones = speech.phones[start:stop]
    found = [acoustic_levels(speech.mel[start:stop], phones)]
    for _ in range(count):
        sound = perturb(utterance.audio[start * 160 : stop * 160], rng)
        mel = log_mel(sound, 0, len(sound) // 160 + 1)
        stretched = sample_at(phones, np.linspace(0, len(phones) - 1, len(mel)))
        found.append(acoustic_levels(mel, stretched))
    return found


def _fit(data: list[list[AcousticLevels]], truth: np.ndarray, classes: int, config: EmotionConfig) -> EmotionNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # layers and dropout draw from torch's own generator
        rng = np.random.default_rng(config.seed)
        net = EmotionNet(classes)
        first = collate([versions[0] for versions in data])
        heard = first.mfcc[first.active]
        net.mfcc_mean.copy_(heard.mean(dim=0))
        net.mfcc_std.copy_(heard.std(dim=0))
        counts = np.bincount(truth, minlength=classes)
        loss_of = nn.CrossEntropyLoss(
            torch.tensor(len(truth) / classes / counts, dtype=torch.float32), label_smoothing=0.1
        )
        batches = max(1, len(data) // config.batch)
        optimizer = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=2e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.epochs * batches
        )
        for _ in range(config.epochs):
            for chosen in np.array_split(rng.permutation(len(data)), batches):
                windows = collate([data[i][rng.integers(len(data[i]))] for i in chosen])
                loss = loss_of(net(windows)[1], torch.from_numpy(truth[chosen]))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 2.0)
                optimizer.step()
                schedule.step()
    return net.eval()


@torch.no_grad()
def _run(net: EmotionNet, windows: list[AcousticLevels]) -> tuple[np.ndarray, np.ndarray]:
    outputs = [net(collate(windows[i : i + 64])) for i in range(0, len(windows), 64)]
    return torch.cat([o[0] for o in outputs]).numpy(), torch.cat([o[1] for o in outputs]).softmax(dim=1).numpy()


def _held_out_figures(
    data: list[list[AcousticLevels]],
    truth: np.ndarray,
    owner: np.ndarray,
    labels: list[str],
    config: EmotionConfig,
    progress: Progress,
) -> dict[str, Any]:
    probabilities = np.zeros((len(data), len(labels)), np.float32)
    noisy = np.zeros_like(probabilities)
    for fold in track(progress, "emotion: held-out speakers", range(config.folds)):
        held = owner % config.folds == fold
        net = _fit([d for d, h in zip(data, held, strict=True) if not h], truth[~held], len(labels), config)
        probabilities[held] = _run(net, [data[i][0] for i in np.flatnonzero(held)])[1]
        noisy[held] = _run(net, [data[i][-1] for i in np.flatnonzero(held)])[1]
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, predicted), 1)
    return {
        "uar_held_out_speakers": round(_recall(probabilities, truth), 3),
        "uar_held_out_speakers_perturbed": round(_recall(noisy, truth), 3),
        "recall": {label: round(float(confusion[i, i] / confusion[i].sum()), 2) for i, label in enumerate(labels)},
        "calibration_error": round(_calibration_error(probabilities, truth), 3),
        "confusion": confusion.tolist(),
    }


def _recall(probabilities: Float[np.ndarray, "u c"], truth: np.ndarray) -> float:
    """Unweighted average recall."""
    right = probabilities.argmax(axis=1) == truth
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


def _calibration_error(probabilities: Float[np.ndarray, "u c"], truth: np.ndarray) -> float:
    """Expected calibration error over ten bins of confidence."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    which = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in np.unique(which)
    ]
    return float(np.sum(gaps))
