"""Training the emotion teacher on acted speech, and measuring it on speakers it has not heard (DESIGN §6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from scipy.special import softmax
from torch import nn

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log, track
from ua3dtalk.core.threads import one_thread
from ua3dtalk.priors.emotion_data import EmotionData, Utterance, read_utterances
from ua3dtalk.priors.emotion_discriminant import OWN_WEIGHT, fit_discriminant, fit_shares
from ua3dtalk.priors.emotion_model import AcousticLevels, EmotionNet
from ua3dtalk.priors.emotion_scores import area_under_curve, average_recall, calibration_error, speaker_interval
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.speech_features import SpeechEncoder
from ua3dtalk.subject.labels import NEUTRAL

__all__ = ["EmotionConfig", "Utterance", "train_emotion"]


@dataclass(frozen=True, kw_only=True)
class EmotionConfig:
    """How the teacher is trained."""

    epochs: int = 24
    """Passes over the utterances, each time in another of their versions."""
    versions: int = 4
    """Perturbed versions of each utterance beside the original."""
    folds: int = 10
    """Groups of held-out speakers for figures and calibration, at most one for each speaker; 0 measures nothing."""
    batch: int = 48
    """Utterances in a batch."""
    learning_rate: float = 4e-3
    """Peak of the one-cycle schedule."""
    seed: int = 0
    """Of all randomness."""


@dataclass(frozen=True)
class HeldOut:
    """What teachers that never heard the speaker say of each utterance."""

    network: Float32[np.ndarray, "u c"]
    """Logits of the network."""
    votes: Float32[np.ndarray, "u c"]
    """Logits of the discriminant."""
    intensity: Float32[np.ndarray, " u"]
    """Intensity before it is squashed."""
    fold: np.ndarray
    """Which group of speakers it was in."""
    experts: list[EmotionNet] = field(default_factory=list)
    """The teacher of each group, fitted to the others."""

    def shares(self, truth: np.ndarray, fold: int | None) -> tuple[float, float]:
        """Factors of network and discriminant, from all folds but one (None: from all)."""
        used = self.fold != fold if fold is not None else np.ones(len(truth), bool)
        return fit_shares(self.network[used], self.votes[used], truth[used])

    def logits(self, truth: np.ndarray) -> Float32[np.ndarray, "u c"]:
        """Calibrated logits; the shares of each fold come from the other folds."""
        found = np.zeros_like(self.network)
        for fold in np.unique(self.fold).tolist():
            held, (a, b) = self.fold == fold, self.shares(truth, fold)
            found[held] = a * self.network[held] + b * self.votes[held]
        return found


def train_emotion(
    utterances: list[Utterance],
    out: Path | None = None,
    config: EmotionConfig = EmotionConfig(),
    encoder: SpeechEncoder | None = None,
    progress: Progress = Silent(),  # noqa: B008
) -> EmotionTeacher:
    """Train the teacher. The same utterances and settings give the same weights, bit for bit.

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
        UserError: fewer than two labels or speakers, no neutral speech, or an utterance that is too short.
    """
    labels = sorted({u.label for u in utterances})
    speakers = {u.speaker for u in utterances}
    if len(labels) < 2 or len(speakers) < 2 or NEUTRAL not in labels:
        raise UserError(
            f"The speech has labels {labels} of {len(speakers)} speakers.", "Give neutral and others, of 2+."
        )
    with one_thread():
        data = read_utterances(utterances, config.versions, config.seed, encoder, progress)
        teacher = fit_teacher(data, config, progress)
    if out is not None:
        teacher.save(out)
    log.info("emotion teacher: %s", {k: v for k, v in teacher.facts.items() if k != "confusion"})
    return teacher


def fit_teacher(data: EmotionData, config: EmotionConfig, progress: Progress = Silent()) -> EmotionTeacher:  # noqa: B008
    """Measure and calibrate on held-out speakers, then fit to all."""
    facts: dict[str, Any] = {
        "utterances": len(data.truth),
        "speakers": int(data.owner.max()) + 1,
        "labels": list(data.labels),
        "intensities": bool((data.strong >= 0).any()),
    }
    shares = (1.0, 0.3)
    if config.folds:
        held = held_out(data, config, progress)
        facts |= figures(held, data)
        shares = held.shares(data.truth, None)
    everyone = np.arange(len(data.truth))
    net = fit_expert(data, everyone, config)
    net.share(*shares)
    embeddings = run(net, data.levels[everyone * data.versions])[0]
    centroids = np.stack([embeddings[data.truth == i].mean(axis=0) for i in range(len(data.labels))])
    return EmotionTeacher(net, data.labels, torch.from_numpy(centroids), data.encoder, facts)


def held_out(data: EmotionData, config: EmotionConfig, progress: Progress = Silent()) -> HeldOut:  # noqa: B008
    """Fit a teacher for each group of speakers to all others, and ask it about that group."""
    count = min(config.folds, int(data.owner.max()) + 1)
    fold = data.owner % count
    network = np.zeros((len(fold), len(data.labels)), np.float32)
    votes, intensity, experts = np.zeros_like(network), np.zeros(len(fold), np.float32), []
    for k in track(progress, "emotion: held-out speakers", range(count)):
        held = np.flatnonzero(fold == k)
        net = fit_expert(data, np.flatnonzero(fold != k), config)
        _, network[held], votes[held], intensity[held] = run(net, data.levels[held * data.versions])
        experts.append(net)
    return HeldOut(network, votes, intensity, fold, experts)


def figures(held: HeldOut, data: EmotionData) -> dict[str, Any]:
    """Scores of held-out speakers, rounded; JSON values."""
    probabilities = softmax(held.logits(data.truth), axis=1)
    confusion = np.zeros((len(data.labels), len(data.labels)), int)
    np.add.at(confusion, (data.truth, probabilities.argmax(axis=1)), 1)
    interval = speaker_interval(lambda i: average_recall(probabilities[i], data.truth[i]), data.owner)
    found = {
        "uar_held_out_speakers": round(average_recall(probabilities, data.truth), 3),
        "uar_interval": [round(x, 3) for x in interval],
        "uar_discriminant_alone": round(average_recall(held.votes, data.truth), 3),
        "uar_network_alone": round(average_recall(held.network, data.truth), 3),
        "recall": {
            label: round(float(row[i] / row.sum()), 2)
            for i, (label, row) in enumerate(zip(data.labels, confusion, strict=True))
        },
        "calibration_error": round(calibration_error(probabilities, data.truth), 3),
        "confusion": confusion.tolist(),
    }
    said = (data.strong >= 0) & (data.truth != data.labels.index(NEUTRAL))
    if len(np.unique(data.strong[said])) == 2:
        found["intensity_auc"] = round(area_under_curve(held.intensity[said], data.strong[said]), 3)
    return found


def fit_expert(data: EmotionData, chosen: np.ndarray, config: EmotionConfig) -> EmotionNet:
    """Network and discriminants, fitted to some utterances; logits are not weighed yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # layers and dropout draw from torch's own generator
        net = EmotionNet(len(data.labels), hidden=data.levels.hidden.shape[2])
        _standardise(net, data, chosen)
        _fit_discriminants(net, data, chosen)
        _fit_network(net, data, chosen, config)
    return net.eval()


def _standardise(net: EmotionNet, data: EmotionData, chosen: np.ndarray) -> None:
    own = data.levels[chosen * data.versions]
    heard, all_versions = own.frames[own.active], data.levels.functionals[torch.from_numpy(data.rows(chosen))]
    net.frame_mean.copy_(heard.mean(dim=0))
    net.frame_std.copy_(heard.std(dim=0) + 1e-3)
    net.functional_mean.copy_(all_versions.mean(dim=0))
    net.functional_std.copy_(all_versions.std(dim=0) + 1e-4)
    if net.hidden:
        states = own.hidden[own.active]
        net.hidden_mean.copy_(states.mean(dim=0))
        net.hidden_std.copy_(states.std(dim=0) + 1e-3)


def _fit_discriminants(net: EmotionNet, data: EmotionData, chosen: np.ndarray) -> None:
    """Of the labels, and of intensity: strongly against normally acted, else any emotion against none."""
    weight = np.concatenate([[OWN_WEIGHT], np.ones(data.versions - 1)])

    def fit(of: np.ndarray, label: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        x = net.standard(data.levels[data.rows(of)])
        return fit_discriminant(x, np.repeat(label, data.versions), np.tile(weight, len(of)))

    coefficients, constants = fit(chosen, data.truth[chosen])
    net.discriminant.copy_(coefficients)
    net.discriminant_bias.copy_(constants)
    emotional = data.truth != data.labels.index(NEUTRAL)
    said = chosen[(data.strong[chosen] >= 0) & emotional[chosen]]
    told = len(np.unique(data.strong[said])) == 2
    of, label = (said, data.strong[said]) if told else (chosen, emotional[chosen].astype(np.int64))
    coefficients, constants = fit(of, label)
    direction = coefficients[:, 1] - coefficients[:, 0]
    net.intensity.copy_(direction)
    net.intensity_bias.copy_(constants[1] - constants[0])
    scores = net.intensities(data.levels[of * data.versions])
    net.intensity_scale.copy_(scores.std() + 1e-3)


def _fit_network(net: EmotionNet, data: EmotionData, chosen: np.ndarray, config: EmotionConfig) -> None:
    rng = np.random.default_rng(config.seed)
    truth = data.truth[chosen]
    counts = np.bincount(truth, minlength=len(data.labels)).clip(1)
    balance = torch.tensor(len(truth) / len(counts) / counts, dtype=torch.float32)
    loss_of = nn.CrossEntropyLoss(balance, label_smoothing=0.1)
    batches = max(1, len(chosen) // config.batch)
    optimizer = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=config.epochs * batches)
    for _ in range(config.epochs):
        for part in np.array_split(rng.permutation(chosen), batches):
            windows = data.levels[part * data.versions + rng.integers(data.versions, size=len(part))]
            loss = loss_of(net(windows)[1], torch.from_numpy(data.truth[part]))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            schedule.step()


@torch.no_grad()
def run(net: EmotionNet, windows: AcousticLevels) -> tuple[np.ndarray, ...]:
    """Embedding, logits of network and discriminant, raw intensity."""
    outputs = []
    for start in range(0, len(windows), 64):
        part = windows[np.arange(start, min(start + 64, len(windows)))]
        outputs.append((*net(part), net.votes(part), net.intensities(part)))
    return tuple(torch.cat(column).numpy() for column in zip(*outputs, strict=True))
