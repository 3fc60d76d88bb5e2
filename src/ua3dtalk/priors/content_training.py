"""Training the content prior: alternate between ridge weights of the other speakers and each clip's sound offset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log, track
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.context import apply_to_context, fit_projection, phone_context
from ua3dtalk.priors.lip_targets import OPENING_COLUMN, WIDTH_COLUMN, lip_basis, project
from ua3dtalk.priors.offset import Offset, correlation, find_offset
from ua3dtalk.priors.phone_posteriors import phone_names
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures, sample_at

FPS = 25.0
SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True, kw_only=True)
class ContentClip:
    """One clip of one person."""

    name: str
    """Name for reports."""
    speaker: str
    """Clips of one person are held out together."""
    audio: Float32[np.ndarray, " s"]
    """16 kHz mono."""
    shapes: Float32[np.ndarray, "t 82"]
    """``lip_shapes`` at 25 fps from time 0."""


@dataclass(frozen=True, kw_only=True)
class ContentConfig:
    """How the content prior is trained."""

    penalty: float = 150.0
    """Ridge penalty; the context is some thousand frames by 898 (2242 with hidden states)."""
    rounds: int = 5
    """Alternations of weights and offsets."""
    doubtful_weight: float = 0.1
    """Weight of clips without a clear offset; > 0."""
    typical_std: float = 0.05
    """Speakers are scaled so that the first lip component has this standard deviation, in eye distances."""


@dataclass(frozen=True)
class HeldOut:
    """A clip as weights see it that know nothing of its speaker."""

    source: ContentClip
    """The clip."""
    speech: SpeechFeatures
    """Its sound, on the sound's own time axis."""
    targets: Float32[np.ndarray, "t 14"]
    """Lips, scaled to a typical speaker."""
    offset: Offset
    """Of sound against picture, on the axis where lips are shut in the middle of P, B and M."""
    weights: Float32[np.ndarray, "c 14"]
    """Trained on all other speakers."""
    projection: Float32[np.ndarray, "h1 p"] | None = None
    """Of hidden states, fitted on all speakers (without looking at lips)."""

    def predicted(self, times_s: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n 14"]:
        """Lips at times of the sound."""
        return apply_to_context(self.speech, times_s, self.weights, self.projection)


@dataclass
class _Clip:
    """A clip with everything that does not depend on the weights."""

    source: ContentClip
    speech: SpeechFeatures
    targets: np.ndarray
    offset: Offset
    projection: np.ndarray | None = None


def train_content(
    clips: list[ContentClip],
    out: Path | None = None,
    config: ContentConfig = ContentConfig(),
    encoder: SpeechEncoder | None = None,
    progress: Progress = Silent(),  # noqa: B008
) -> ContentPrior:
    """Train the speaker-independent content prior (DESIGN §6) and measure it on speakers that it has not seen.

    Args:
        clips: At least three speakers.
        out: Where to write the weights; nowhere when None.
        config: Training settings.
        encoder: Speech encoder; the default one when None.
        progress: Where to report.

    Returns:
        The prior; ``facts`` holds leave-one-speaker-out figures, one row per clip.

    Raises:
        UserError: fewer than three speakers.
    """
    encoder = encoder or PhoneEncoder()
    basis, held_out, weights = train_held_out(clips, config, encoder, progress)
    prior = _assemble(held_out, weights, basis, encoder.name, _facts([figures(clip) for clip in held_out], config))
    if out is not None:
        prior.save(out)
    log.info("content prior: %s", {k: v for k, v in prior.facts.items() if k != "clips"})
    return prior


def train_held_out(
    clips: list[ContentClip], config: ContentConfig, encoder: SpeechEncoder, progress: Progress
) -> tuple[Float32[np.ndarray, "12 80"], list[HeldOut], Float32[np.ndarray, "c 14"]]:
    """Lip basis, every clip with weights of the other speakers, and the weights of all clips.

    Raises:
        UserError: fewer than three speakers.
    """
    if len({clip.speaker for clip in clips}) < 3:
        raise UserError(f"{len(clips)} clips hold fewer than 3 speakers.", "Give clips of more people.")
    basis = lip_basis([clip.shapes for clip in clips])
    prepared = [_prepare(clip, basis, config, encoder) for clip in track(progress, "content: features", clips)]
    projection = fit_projection([clip.speech for clip in prepared])
    for clip in prepared:
        clip.projection = projection
    for _ in track(progress, "content: offsets", range(config.rounds)):
        for clip, weights in zip(prepared, _weights_of_others(prepared, config), strict=True):
            clip.offset = _offset(clip, weights)
        gauge = _bilabial_gauge(prepared)
        for clip in prepared:
            clip.offset = replace(clip.offset, frames=clip.offset.frames + gauge)
    others = _weights_of_others(prepared, config)
    held_out = [
        HeldOut(clip.source, clip.speech, clip.targets, clip.offset, weights, projection)
        for clip, weights in zip(prepared, others, strict=True)
    ]
    return basis, held_out, _solve([_gram(clip, config) for clip in prepared], config)


def figures(clip: HeldOut) -> dict[str, Any]:
    """One row about a clip: its offset, and how well weights of other speakers predict its lips."""
    predicted = clip.predicted((np.arange(len(clip.targets)) + clip.offset.applied_frames) / FPS)
    return {
        "name": clip.source.name,
        "speaker": clip.source.speaker,
        "seconds": round(len(clip.targets) / FPS, 1),
        "offset_frames": clip.offset.frames,
        "accepted": clip.offset.accepted,
        "peak_r": round(clip.offset.peak, 3),
        "rival_r": round(clip.offset.rival, 3),
        "opening_r": round(correlation(predicted[:, OPENING_COLUMN], clip.targets[:, OPENING_COLUMN]), 3),
        "width_r": round(correlation(predicted[:, WIDTH_COLUMN], clip.targets[:, WIDTH_COLUMN]), 3),
    }


def mean_figure(rows: list[dict[str, Any]], key: str, by: str) -> float:
    """Mean of a figure over clips whose offset is believed.

    Args:
        rows: From ``figures``.
        key: Which one.
        by: ``"length"``, ``"clip"``, or ``"speaker"``, a speaker's clips by length.

    Returns:
        The mean; 0 without clips.
    """
    good = [row for row in rows if row["accepted"]]
    if not good:
        return 0.0
    if by == "speaker":
        speakers = sorted({row["speaker"] for row in good})
        return float(np.mean([mean_figure([r for r in good if r["speaker"] == s], key, "length") for s in speakers]))
    weights = [row["seconds"] if by == "length" else 1.0 for row in good]
    return float(np.average([row[key] for row in good], weights=weights))


def _prepare(clip: ContentClip, basis: np.ndarray, config: ContentConfig, encoder: SpeechEncoder) -> _Clip:
    targets = project(clip.shapes, basis)
    targets = targets * (config.typical_std / max(float(targets[:, 0].std()), 1e-6))
    frames = min(len(targets), int(len(clip.audio) / SAMPLE_RATE_HZ * FPS))
    nothing = Offset(frames=0.0, peak=0.0, rival=0.0, accepted=False)
    return _Clip(clip, encoder.encode(clip.audio), targets[:frames], nothing)


def _gram(clip: _Clip, config: ContentConfig) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of one clip at its present offset."""
    weight = 1.0 if clip.offset.accepted else config.doubtful_weight
    times_s = (np.arange(len(clip.targets)) + clip.offset.applied_frames) / FPS
    context = phone_context(clip.speech, times_s, clip.projection).astype(np.float64)
    return weight * (context.T @ context), weight * (context.T @ clip.targets)


def _weights_of_others(clips: list[_Clip], config: ContentConfig) -> list[Float32[np.ndarray, "c 14"]]:
    """For each clip, weights of all clips of other speakers."""
    grams = [_gram(clip, config) for clip in clips]
    speakers = [clip.source.speaker for clip in clips]
    solved = {
        left_out: _solve([gram for gram, speaker in zip(grams, speakers, strict=True) if speaker != left_out], config)
        for left_out in sorted(set(speakers))
    }
    return [solved[speaker] for speaker in speakers]


def _solve(grams: list[tuple[np.ndarray, np.ndarray]], config: ContentConfig) -> Float32[np.ndarray, "c 14"]:
    xtx, xty = (np.sum([gram[i] for gram in grams], axis=0) for i in (0, 1))
    penalty = config.penalty * np.eye(len(xtx))
    penalty[-1, -1] = 1e-3  # the constant is free
    return np.linalg.solve(xtx + penalty, xty).astype(np.float32)


def _offset(clip: _Clip, weights: np.ndarray) -> Offset:
    times_s = np.arange(int(clip.speech.num_audio_frames / clip.speech.rate_hz * 50)) / 50
    return find_offset(apply_to_context(clip.speech, times_s, weights, clip.projection), clip.targets)


def _bilabial_gauge(clips: list[_Clip]) -> float:
    """What to add to all offsets so that lips are shut in the middle of P, B and M.

    Alternation finds offsets of clips against each other; a shift common to all it cannot see. The lips can: they must
    be closed while a bilabial sounds.

    Returns:
        Frames, in steps of one half, within 4.
    """
    columns = [phone_names().index(name) for name in ("P", "B", "M")]
    lags = np.arange(-4, 4.25, 0.5)
    scores = np.zeros(len(lags))
    for clip in clips:
        if clip.offset.accepted:
            bilabial = clip.speech.phones[:, columns].sum(axis=1, keepdims=True)
            frames = np.arange(len(clip.targets)) + clip.offset.frames
            for i, lag in enumerate(lags):
                heard = sample_at(bilabial, (frames + lag) * 100 / FPS)[:, 0]
                scores[i] -= len(frames) * correlation(heard, clip.targets[:, OPENING_COLUMN])
    return float(lags[scores.argmax()])


def _facts(rows: list[dict[str, Any]], config: ContentConfig) -> dict[str, Any]:
    return {
        "speakers": len({row["speaker"] for row in rows}),
        "clips_accepted": sum(row["accepted"] for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "penalty": config.penalty,
        "unseen_speaker_opening_r": round(mean_figure(rows, "opening_r", "length"), 3),
        "unseen_speaker_width_r": round(mean_figure(rows, "width_r", "length"), 3),
        "clips": rows,
    }


def _assemble(
    clips: list[HeldOut], weights: np.ndarray, basis: np.ndarray, encoder: str, facts: dict[str, Any]
) -> ContentPrior:
    plain = ContentPrior(
        weights=weights,
        basis=basis,
        feature_mean=np.zeros(64, np.float32),
        feature_scale=np.ones(64, np.float32),
        encoder=encoder,
        facts=facts,
        projection=clips[0].projection,
    )
    raw = np.concatenate([plain.raw_features(c.speech, voice_activity(c.speech, len(c.targets))) for c in clips])
    scale = np.maximum(raw.std(axis=0), 1e-4).astype(np.float32)
    return replace(plain, feature_mean=raw.mean(axis=0).astype(np.float32), feature_scale=scale)
