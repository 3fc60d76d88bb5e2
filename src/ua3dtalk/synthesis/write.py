"""Speech to a video with sound, streamed; on request with a heat video and a JSON report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.files import write_json
from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.core.provenance import AI_GENERATED, provenance
from ua3dtalk.media.audio import SAMPLE_RATE_HZ
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.priors.features import EmotionMix
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.synthesis.drive import FPS, Drive, frames_of, make_drive
from ua3dtalk.synthesis.heat import LEGEND_PX, HeatScale, heat_picture
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.render import render_frames
from ua3dtalk.synthesis.target import Target

REPORT_SCHEMA = 1
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for media that a trained model made together with captured elements: here torso, room and sound."""
_HEAT_SAMPLE = 16


@dataclass(frozen=True, kw_only=True)
class SynthesisResult:
    """What was written."""

    frames: int
    """Frames."""
    video_s: float
    """Length of the picture, seconds."""
    audio_s: float
    """Length of the speech, seconds."""
    uncertainty: tuple[float | None, ...] | None
    """Per frame, latent units; None unless a heat video or a report was asked for."""


def video_tags(kind: str = "talking avatar") -> dict[str, str]:
    """Container tags that say that the video is synthetic."""
    return {
        "title": f"AI-generated {kind} (UA-3DTalk)",
        "comment": AI_GENERATED,
        "description": f"AI-generated. IPTC digitalSourceType: {DIGITAL_SOURCE_TYPE}",
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
    }


def synthesize(
    avatar: Target,
    samples: Float32[np.ndarray, " s"],
    speech: SpeechFeatures,
    out: Path,
    options: SynthesisOptions,
    generator: np.random.Generator,
    progress: Progress | None = None,
    facts: Mapping[str, Any] | None = None,
) -> SynthesisResult:
    """Let an avatar speak.

    Args:
        avatar: Who speaks.
        samples: The speech, 16 kHz mono (``drive.read_speech``).
        speech: Its features.
        out: Video to write, MP4 with H.264 and AAC.
        options: What the user asked for.
        generator: For generated blinks.
        progress: Where to report.
        facts: More for the JSON report: avatar, source of the sound, back-end (JSON-serialisable).

    Raises:
        UserError: see ``make_drive``; nothing half-written stays.
    """
    drive = make_drive(avatar, speech, frames_of(samples), options, generator, progress or Silent())
    want_maps = options.confidence is not None or options.report is not None
    uncertainty: list[float | None] = []
    with ExitStack() as stack:
        size = (avatar.width, avatar.height)
        video = stack.enter_context(VideoWriter(out, FPS, size, samples, SAMPLE_RATE_HZ, video_tags()))
        heat: VideoWriter | None = None
        scale: HeatScale | None = None
        if options.confidence is not None:
            scale = heat_scale(avatar, drive)
            tags = video_tags("talking avatar, uncertainty map")
            tall = (avatar.width, avatar.height + LEGEND_PX)
            heat = stack.enter_context(VideoWriter(options.confidence, FPS, tall, samples, SAMPLE_RATE_HZ, tags))
        task = stack.enter_context((progress or Silent()).task("synthesize", len(drive)))
        for frame in render_frames(avatar, drive, want_maps):
            video.write(frame.image)
            uncertainty.append(frame.uncertainty)
            if heat is not None and scale is not None:
                empty = np.zeros(frame.image.shape[:2], np.float32)
                heat.write(heat_picture(frame.image, empty if frame.deviation is None else frame.deviation, scale))
            task.advance()
    result = SynthesisResult(
        frames=len(drive),
        video_s=len(drive) / FPS,
        audio_s=len(samples) / SAMPLE_RATE_HZ,
        uncertainty=tuple(uncertainty) if want_maps else None,
    )
    if options.report is not None:
        write_json(options.report, report_dict(result, drive, options, facts or {}))
    return result


def heat_scale(avatar: Target, drive: Drive) -> HeatScale:
    """Scale from a few frames spread over the speech."""
    chosen = np.unique(np.linspace(0, len(drive) - 1, _HEAT_SAMPLE).round().astype(int))
    frames = (
        avatar.render(drive.conditions.frame(int(i)), drive.viewmats[i], int(drive.torso[i]), want_maps=True)
        for i in chosen
    )
    return HeatScale(frame.deviation for frame in frames if frame.deviation is not None)


def report_dict(
    result: SynthesisResult, drive: Drive, options: SynthesisOptions, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What was done, and a confidence per frame, as JSON-serialisable values."""
    values = np.array([np.nan if u is None else u for u in result.uncertainty or ()], np.float64)
    known = np.sort(values[np.isfinite(values)])
    surer = np.searchsorted(known, values, side="left") / max(len(known), 1)
    return {
        "schema": REPORT_SCHEMA,
        "ai_generated": AI_GENERATED,
        "frames": result.frames,
        "fps": FPS,
        "video_s": result.video_s,
        "audio_s": result.audio_s,
        "settings": {"options": to_plain(options), "given": dict(facts)},
        "borrowed_emotions": list(drive.borrowed),
        "emotion_strengths": None if drive.asked is None else strengths_dict(drive.asked),
        "provenance": provenance(),
        "meaning": {
            "uncertainty": "mean fused standard deviation over the head, latent units; only its order means something",
            "confidence": "share of this video's frames that are at least as uncertain, 0..1",
            "emotion": "strongest emotion asked for; null where the voice decided",
            "emotion_strengths": "per frame of every emotion asked for, 0..1; what is missing to 1 is neutral",
            "emotion_confidence": "confidence of the emotion heard in the voice, 0..1",
            "borrowed_emotions": "never shown by the subject: the mean motion of other people, moved to this face",
        },
        "per_frame": {
            "uncertainty": [None if np.isnan(v) else round(float(v), 6) for v in values],
            "confidence": [None if np.isnan(v) else round(1 - float(s), 4) for v, s in zip(values, surer, strict=True)],
            "emotion": None if drive.labels is None else list(drive.labels),
            "intensity": None if drive.intensity is None else [round(float(v), 4) for v in drive.intensity],
            "emotion_confidence": [round(float(v), 4) for v in drive.features.confidence],
        },
    }


def strengths_dict(mix: EmotionMix) -> dict[str, list[float]]:
    """Strength per frame of every label."""
    return {name: [round(float(v), 4) for v in row] for name, row in zip(mix.labels, mix.strengths.T, strict=True)}
