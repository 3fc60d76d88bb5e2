"""Utterances to train and measure the emotion teacher with, as the network reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, track
from ua3dtalk.priors.emotion_model import AcousticLevels, acoustic_levels, collate
from ua3dtalk.priors.emotion_tracks import ACTIVE_NATS
from ua3dtalk.priors.sound_augmentation import perturb
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder, log_mel
from ua3dtalk.priors.voice_tracks import voice_tracks
from ua3dtalk.subject.speech_data import sample_at

EDGE = 3
MIN_FRAMES = 30
HOP = 160


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One acted utterance."""

    speaker: str
    """Utterances of one speaker are held out together."""
    label: str
    """Emotion, e.g. ``happy``."""
    audio: Float32[np.ndarray, " s"]
    """16 kHz mono."""
    intensity: float | None = None
    """How strong it is acted, 0 (normal) to 1 (strong); None where nobody says."""


@dataclass(frozen=True)
class EmotionData:
    """U utterances in V versions each, the first as it is."""

    levels: AcousticLevels
    """V windows of the first utterance, then of the second, ..."""
    versions: int
    """V."""
    truth: Int[np.ndarray, " u"]
    """Index of the label."""
    owner: Int[np.ndarray, " u"]
    """Index of the speaker."""
    strong: Int[np.ndarray, " u"]
    """1 acted strongly, 0 normally, -1 unknown."""
    labels: tuple[str, ...]
    """Names, sorted."""
    encoder: str
    """Speech encoder."""

    def rows(self, utterances: np.ndarray) -> np.ndarray:
        """Rows of ``levels`` with all versions of some utterances."""
        return (utterances[:, None] * self.versions + np.arange(self.versions)).ravel()


def read_utterances(
    utterances: list[Utterance],
    versions: int,
    seed: int,
    encoder: SpeechEncoder | None = None,
    progress: Progress = Silent(),  # noqa: B008
) -> EmotionData:
    """Features of all utterances and of perturbed versions of them.

    Args:
        utterances: Acted speech.
        versions: Perturbed versions beside the original.
        seed: Of the perturbations.
        encoder: Speech encoder; the default one when None.
        progress: Where to report.

    Raises:
        UserError: an utterance is shorter than .3 s.
    """
    encoder = encoder or PhoneEncoder()
    labels = tuple(sorted({u.label for u in utterances}))
    speakers = sorted({u.speaker for u in utterances})
    spans = [_span(utterance) for utterance in utterances]
    windows = []
    for i, utterance in enumerate(track(progress, "emotion: features", utterances)):
        windows += _versions(utterance, spans[i], encoder, versions, np.random.default_rng([seed, i]))
    return EmotionData(
        collate(windows),
        versions + 1,
        np.array([labels.index(u.label) for u in utterances]),
        np.array([speakers.index(u.speaker) for u in utterances]),
        np.array([-1 if u.intensity is None else int(u.intensity > 0.5) for u in utterances]),
        labels,
        encoder.name,
    )


def trimmed(audio: Float32[np.ndarray, " s"]) -> tuple[int, int]:
    """First feature frame, and one past the last, of an utterance without its silent edges."""
    level = log_mel(audio, 0, len(audio) // HOP + 1).mean(axis=1)
    active = np.flatnonzero(level > level.max() - ACTIVE_NATS)
    return max(0, int(active[0]) - EDGE), min(len(level), int(active[-1]) + EDGE + 1)


def _span(utterance: Utterance) -> tuple[int, int]:
    start, stop = trimmed(utterance.audio)
    if stop - start < MIN_FRAMES:
        raise UserError(
            f"An utterance of {utterance.speaker!r} ({utterance.label}) has {stop - start} frames of 10 ms.",
            "Give utterances of 0.3 s or more.",
        )
    return start, stop


def _versions(
    utterance: Utterance, span: tuple[int, int], encoder: SpeechEncoder, count: int, rng: np.random.Generator
) -> list[AcousticLevels]:
    """The utterance without its silent edges, and perturbed. Perturbed versions keep phones and hidden states."""
    start, stop = span
    speech = encoder.encode(utterance.audio).part(start, stop)
    found = [acoustic_levels(speech)]
    for _ in range(count):
        sound = perturb(utterance.audio[start * HOP : stop * HOP], rng)
        frames = len(sound) // HOP + 1
        index = np.linspace(0, speech.num_audio_frames - 1, frames)
        stretched = {name: sample_at(track, index) for name, track in speech.tracks.items()}
        heard = {"mel": log_mel(sound, 0, frames), "voice": voice_tracks(sound, 0, frames)}
        found.append(acoustic_levels(replace(speech, **stretched | heard)))
    return found
