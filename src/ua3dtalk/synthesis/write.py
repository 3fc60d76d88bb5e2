"""Speech to a video with sound, streamed; on request with a heat video and a JSON report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ua3dtalk.avatar.familiarity import Familiarity
from ua3dtalk.avatar.forecast import FrameForecast
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import write_json
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.media.audio import SAMPLE_RATE_HZ
from ua3dtalk.media.c2pa_manifest import sign_video
from ua3dtalk.media.marks import UNMARKED, mark_text
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.synthesis.doubts import Doubts, calmer, find_doubts
from ua3dtalk.synthesis.drive import FPS, frames_of, make_drive
from ua3dtalk.synthesis.error_heat import error_picture, heat_size
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.render import render_frames
from ua3dtalk.synthesis.run_report import run_report
from ua3dtalk.synthesis.target import Target, TargetFrame

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for media that a trained model made together with captured elements: here torso, room and sound."""
_NO_PICTURE = np.zeros((0, 0), np.float32)
"""In place of a map that is not kept: memory must not grow with the speech."""


@dataclass(frozen=True, kw_only=True)
class SynthesisResult:
    """What was written."""

    frames: int
    """Frames."""
    video_s: float
    """Length of the picture, seconds."""
    audio_s: float
    """Length of the speech, seconds."""
    expected_error: float | None
    """Mean over head and frames, 0..1; None unless a heat video or a report was asked for, and the avatar knows it."""
    signed: bool
    """Whether all that was written carries a C2PA signature: where videos are marked, and ``c2pa-python`` is there."""


def video_tags(subject_sha256: str | None = None, kind: str = "talking avatar") -> dict[str, str]:
    """Container tags that say that the video is synthetic, and whom it shows (the hash of the subject's video)."""
    return {
        "title": f"AI-generated {kind} (UA-3DTalk)",
        "comment": mark_text(subject_sha256),
        "description": f"AI-generated. IPTC digitalSourceType: {DIGITAL_SOURCE_TYPE}",
        "digitalSourceType": DIGITAL_SOURCE_TYPE,
    }


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known beside the speech."""

    familiarity: Familiarity | None = None
    """What is usual to the avatar; None where it does not know."""
    subject_sha256: str | None = None
    """Hash of the video that the avatar was learnt from; written into what is made."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More for the JSON report: avatar, source of the sound, back-end (JSON-serialisable)."""


def synthesize(
    avatar: Target,
    samples: Float32[np.ndarray, " s"],
    speech: SpeechFeatures,
    out: Path,
    options: SynthesisOptions,
    generator: np.random.Generator,
    progress: Progress | None = None,
    known: Known = Known(),
) -> SynthesisResult:
    """Let an avatar speak; what is written says that a machine made it, and is signed, unless that is not wanted.

    Args:
        avatar: Who speaks.
        samples: The speech, 16 kHz mono (``drive.read_speech``).
        speech: Its features.
        out: Video to write, MP4 with H.264 and AAC.
        options: What the user asked for.
        generator: For generated blinks.
        progress: Where to report.
        known: What the avatar is used to, and more to report.

    Raises:
        UserError: see ``make_drive``; nothing half-written stays.
    """
    drive = make_drive(avatar, speech, frames_of(samples), options, generator, progress or Silent())
    want_maps = options.confidence is not None or options.report is not None
    doubts: Doubts | None = None
    if want_maps or options.min_confidence > 0:
        doubts = find_doubts(drive, speech.mel, known.familiarity, round(speech.rate_hz / FPS))
    if doubts is not None and options.min_confidence > 0:
        drive = calmer(drive, doubts, known.familiarity, options.min_confidence)
    forecasts: list[FrameForecast | None] = []
    if not options.marked:
        log.warning("%s", UNMARKED.format(out))
    size, whom = (avatar.width, avatar.height), known.subject_sha256
    with ExitStack() as stack:
        tags = video_tags(whom) if options.marked else {}
        video = stack.enter_context(VideoWriter(out, FPS, size, samples, SAMPLE_RATE_HZ, tags))
        heat: VideoWriter | None = None
        if options.confidence is not None:
            tags = video_tags(whom, "talking avatar, map of expected errors") if options.marked else {}
            large = heat_size(*size, options.side_by_side)
            heat = stack.enter_context(VideoWriter(options.confidence, FPS, large, samples, SAMPLE_RATE_HZ, tags))
        task = stack.enter_context((progress or Silent()).task("synthesize", len(drive)))
        for t, frame in enumerate(render_frames(avatar, drive, want_maps)):
            video.write(frame.image)
            if heat is not None and doubts is not None:
                heat.write(
                    error_picture(
                        frame.image, needed(frame.forecast), doubts_of(doubts, t, frame), options.side_by_side
                    )
                )
            forecasts.append(None if frame.forecast is None else replace(frame.forecast, error=_NO_PICTURE))
            task.advance()
    written = [path for path in (out, options.confidence) if path is not None and options.marked]
    signed = [sign_video(path, DIGITAL_SOURCE_TYPE, whom) for path in written]
    audio_s = len(samples) / SAMPLE_RATE_HZ
    if options.report is not None and doubts is not None:
        write_json(options.report, run_report(drive, doubts, forecasts, options, audio_s, known.facts))
    errors = [forecast.head for forecast in forecasts if forecast is not None]
    return SynthesisResult(
        frames=len(drive),
        video_s=len(drive) / FPS,
        audio_s=audio_s,
        expected_error=float(np.mean(errors)) if errors else None,
        signed=bool(signed) and all(signed),
    )


def doubts_of(doubts: Doubts, t: int, frame: TargetFrame) -> list[str]:
    """Reasons to doubt frame ``t``."""
    return doubts.why(t, None if frame.forecast is None else frame.forecast.strangeness)


def needed(forecast: FrameForecast | None) -> FrameForecast:
    """The forecast that a heat video shows.

    Raises:
        UserError: the avatar has none.
    """
    if forecast is None:
        raise UserError(
            "This avatar does not know what errors to expect: it was trained by an older version.", "Train."
        )
    return forecast
