"""Training the content prior: alternate between ridge weights of the other speakers and each clip's sound offset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log, track
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.context import CONTEXT_SIZE, phone_context
from ua3dtalk.priors.lip_targets import NUM_TARGETS, OPENING_COLUMN, WIDTH_COLUMN, lip_basis, lip_shapes, project
from ua3dtalk.priors.offset import Offset, correlation, find_offset
from ua3dtalk.priors.phone_posteriors import phone_names
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures, sample_at
from ua3dtalk.subject.store import Subject

FPS = 25.0
SAMPLE_RATE_HZ = 16000


@dataclass(frozen=True, kw_only=True)
class ContentClip:
    """One clip of one speaker."""

    name: str
    """Name for reports."""
    speaker: str
    """Clips of one speaker are held out together."""
    audio: Float32[np.ndarray, " s"]
    """16 kHz mono."""
    shapes: Float32[np.ndarray, "t 82"]
    """``lip_shapes`` at 25 fps from time 0."""


@dataclass(frozen=True, kw_only=True)
class ContentConfig:
    """How the content prior is trained."""

    penalty: float = 100.0
    """Ridge penalty per version of a clip; the context is some thousand frames by 1219."""
    rounds: int = 4
    """Alternations of weights and offsets."""
    speeds: tuple[float, ...] = (0.84, 0.92, 1.09, 1.2)
    """Playing speeds added to the original, as augmentation."""
    doubtful_weight: float = 0.1
    """Weight of clips without a clear offset; > 0."""
    typical_std: float = 0.05
    """Speakers are scaled so that the first lip component has this standard deviation, in eye distances."""


@dataclass
class _Clip:
    """A clip with everything that does not depend on the weights."""

    source: ContentClip
    versions: list[tuple[float, SpeechFeatures]]
    targets: np.ndarray
    offset: Offset


def clip_from_subject(subject: Subject) -> ContentClip:
    """A training clip of a prepared subject (its whole video).

    Raises:
        UserError: the subject has no sound to learn from.
    """
    if not subject.has_audio:
        raise UserError(f"{subject.folder} has no sound to learn from.", "Use a video in which the person speaks.")
    shapes = lip_shapes(subject.track().head_points)
    name = subject.folder.name
    return ContentClip(name=name, speaker=name, audio=subject.audio(), shapes=shapes)


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
    if len({clip.speaker for clip in clips}) < 3:
        raise UserError(f"{len(clips)} clips hold fewer than 3 speakers.", "Give clips of more people.")
    encoder = encoder or PhoneEncoder()
    basis = lip_basis([clip.shapes for clip in clips])
    prepared = [_prepare(clip, basis, config, encoder) for clip in track(progress, "content: features", clips)]
    for _ in track(progress, "content: offsets", range(config.rounds)):
        grams = [_gram(clip, config) for clip in prepared]
        for clip in prepared:
            weights = _solve(prepared, grams, config, without=clip.source.speaker)
            clip.offset = _offset(clip, weights)
    gauge = _bilabial_gauge(prepared)
    for clip in prepared:
        clip.offset = replace(clip.offset, frames=clip.offset.frames + gauge)
    grams = [_gram(clip, config) for clip in prepared]
    rows = [_figures(clip, _solve(prepared, grams, config, without=clip.source.speaker)) for clip in prepared]
    weights = _solve(prepared, grams, config, without=None)
    prior = _assemble(prepared, weights, basis, encoder.name, _facts(rows, prepared, config))
    if out is not None:
        prior.save(out)
    log.info("content prior: %s", {k: v for k, v in prior.facts.items() if k != "clips"})
    return prior


def _prepare(clip: ContentClip, basis: np.ndarray, config: ContentConfig, encoder: SpeechEncoder) -> _Clip:
    versions = [(1.0, encoder.encode(clip.audio))]
    for speed in config.speeds:
        audio = soxr.resample(clip.audio, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ).astype(np.float32)
        versions.append((speed, encoder.encode(audio)))
    targets = project(clip.shapes, basis)
    targets = targets * (config.typical_std / max(float(targets[:, 0].std()), 1e-6))
    frames = min(len(targets), int(len(clip.audio) / SAMPLE_RATE_HZ * FPS))
    return _Clip(clip, versions, targets[:frames], Offset(frames=0.0, peak=0.0, rival=0.0, accepted=False))


def _gram(clip: _Clip, config: ContentConfig) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of all versions of one clip at its present offset."""
    xtx = np.zeros((CONTEXT_SIZE, CONTEXT_SIZE), np.float64)
    xty = np.zeros((CONTEXT_SIZE, NUM_TARGETS), np.float64)
    weight = 1.0 if clip.offset.accepted else config.doubtful_weight
    frames = len(clip.targets)
    for speed, speech in clip.versions:
        at = np.arange(int((frames - 1) / speed) + 1) * speed  # frame of the original behind each new frame
        targets = np.stack([np.interp(at, np.arange(frames), column) for column in clip.targets.T], axis=1)
        times_s = (at + clip.offset.applied_frames) / FPS / speed
        context = phone_context(speech, times_s)
        xtx += weight * (context.T @ context)
        xty += weight * (context.T @ targets)
    return xtx, xty


def _solve(
    clips: list[_Clip], grams: list[tuple[np.ndarray, np.ndarray]], config: ContentConfig, without: str | None
) -> Float32[np.ndarray, "1219 14"]:
    used = [gram for clip, gram in zip(clips, grams, strict=True) if clip.source.speaker != without]
    xtx = np.sum([g[0] for g in used], axis=0)
    penalty = config.penalty * (1 + len(config.speeds)) * np.eye(CONTEXT_SIZE)
    penalty[-1, -1] = 1e-3  # the constant is free
    return np.linalg.solve(xtx + penalty, np.sum([g[1] for g in used], axis=0)).astype(np.float32)


def _offset(clip: _Clip, weights: np.ndarray) -> Offset:
    speech = clip.versions[0][1]
    times_s = np.arange(int(speech.num_audio_frames / speech.rate_hz * 50)) / 50
    return find_offset(phone_context(speech, times_s) @ weights, clip.targets)


def _figures(clip: _Clip, weights: np.ndarray) -> dict[str, Any]:
    times_s = (np.arange(len(clip.targets)) + clip.offset.applied_frames) / FPS
    predicted = phone_context(clip.versions[0][1], times_s) @ weights
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
            bilabial = clip.versions[0][1].phones[:, columns].sum(axis=1, keepdims=True)
            frames = np.arange(len(clip.targets)) + clip.offset.frames
            for i, lag in enumerate(lags):
                heard = sample_at(bilabial, (frames + lag) * 100 / FPS)[:, 0]
                scores[i] -= len(frames) * correlation(heard, clip.targets[:, OPENING_COLUMN])
    return float(lags[scores.argmax()])


def _facts(rows: list[dict[str, Any]], clips: list[_Clip], config: ContentConfig) -> dict[str, Any]:
    good = [row for row in rows if row["accepted"]]
    weights = [row["seconds"] for row in good]
    mean = {
        k: round(float(np.average([r[k] for r in good], weights=weights)), 3) if good else 0.0
        for k in ("opening_r", "width_r")
    }
    return {
        "speakers": len({clip.source.speaker for clip in clips}),
        "clips_accepted": len(good),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "penalty": config.penalty,
        "unseen_speaker_opening_r": mean["opening_r"],
        "unseen_speaker_width_r": mean["width_r"],
        "clips": rows,
    }


def _assemble(
    clips: list[_Clip], weights: np.ndarray, basis: np.ndarray, encoder: str, facts: dict[str, Any]
) -> ContentPrior:
    plain = ContentPrior(
        weights=weights,
        basis=basis,
        feature_mean=np.zeros(64, np.float32),
        feature_scale=np.ones(64, np.float32),
        encoder=encoder,
        facts=facts,
    )
    raw = np.concatenate(
        [plain.raw_features(c.versions[0][1], voice_activity(c.versions[0][1], len(c.targets))) for c in clips]
    )
    return ContentPrior(
        weights=weights,
        basis=basis,
        feature_mean=raw.mean(axis=0).astype(np.float32),
        feature_scale=np.maximum(raw.std(axis=0), 1e-4).astype(np.float32),
        encoder=encoder,
        facts=facts,
    )
