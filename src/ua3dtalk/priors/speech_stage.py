"""The *speech* stage of a subject: features, and the offset of sound against picture taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.core.sequence import pieces
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.lip_targets import lip_shapes, project
from ua3dtalk.priors.offset import find_offset
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder, frame_level_db
from ua3dtalk.subject.parts import joints_of
from ua3dtalk.subject.speech_data import SCHEMA, SpeechFeatures
from ua3dtalk.subject.store import FPS, SAMPLE_RATE_HZ, Subject

STAGE = "speech"
QUIET_DB = -60.0
SPEECH_FLOOR_DB = -50.0
AUDIO_FRAMES = 4
"""Of the features, per video frame."""


def run_speech_stage(
    subject: Subject,
    progress: Progress = Silent(),  # noqa: B008
    encoder: SpeechEncoder | None = None,
    prior: ContentPrior | None = None,
) -> None:
    """Write ``speech.npz`` on the picture's time axis and record what was found (DESIGN §6).

    Facts: ``speech`` is ``"ok"``, ``"unsynchronised"`` (sound without a believable offset: used as it is) or ``"none"``
    (missing or silent: no file); ``offset_frames`` is the correction applied (+ = the sound came late), ``peak_r`` and
    ``rival_r`` belong to it; ``rms_db`` and ``silent_share`` describe the sound. Of several videos each is heard and
    moved by itself: ``videos`` holds what was found in each, and ``offset_frames`` is the mean over time.

    Args:
        subject: A prepared subject.
        progress: Where to report.
        encoder: Speech encoder; the default one when None.
        prior: Content prior; the shipped one when None.
    """
    encoder = encoder or PhoneEncoder()
    settings = {"encoder": encoder.name, "schema": SCHEMA}
    if subject.stage_done(STAGE, settings):
        return
    samples = _samples(subject)
    level = frame_level_db(samples, len(samples) // 160 + 1)
    rms_db = float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12)) if len(samples) else -120.0
    facts = {"rms_db": round(rms_db, 1), "silent_share": round(float((level < SPEECH_FLOOR_DB).mean()), 3)}
    if not len(samples) or rms_db < QUIET_DB:
        (subject.folder / "speech.npz").unlink(missing_ok=True)
        log.warning("%s: no speech to learn from (%.0f dB)", subject.folder, rms_db)
        subject.finish_stage(STAGE, [], facts | {"speech": "none"}, settings)
        return
    prior = prior or ContentPrior.load()
    points, videos = subject.track().head_points, pieces(subject.num_frames, joints_of(subject))
    if len(videos) == 1:
        speech, found = _hear(samples, points, encoder, prior, progress)
    else:
        each = [_hear(_sound_of(samples, v), points[v.start : v.stop], encoder, prior, progress) for v in videos]
        whole = [one.part(0, len(video) * AUDIO_FRAMES) for (one, _), video in zip(each, videos, strict=True)]
        speech, found = SpeechFeatures.joined(whole), _together([facts for _, facts in each], videos)
    speech.save(subject.folder / "speech.npz")
    subject.finish_stage(STAGE, ["speech.npz"], facts | found, settings)


def _hear(
    samples: Float32[np.ndarray, " s"],
    points: Float[np.ndarray, "t 468 3"],
    encoder: SpeechEncoder,
    prior: ContentPrior,
    progress: Progress,
) -> tuple[SpeechFeatures, dict[str, Any]]:
    """Features of one video's sound, moved to its picture; and the facts about that."""
    speech = encoder.encode(samples, progress)
    steps = np.arange(int(speech.num_audio_frames / speech.rate_hz * 50)) / 50
    offset = find_offset(prior.predict(speech, steps), project(lip_shapes(points), prior.basis))
    speech = speech.shifted(offset.applied_frames / FPS) if offset.applied_frames else speech
    log.info(
        "sound is %+.1f frames from the picture (r %.2f, rival %.2f): %s",
        offset.frames, offset.peak, offset.rival, "corrected" if offset.accepted else "not believed, left as it is",
    )  # fmt: skip
    return speech, {
        "speech": "ok" if offset.accepted else "unsynchronised",
        "encoder": encoder.name,
        "offset_frames": offset.applied_frames,
        "peak_frames": offset.frames,
        "peak_r": round(offset.peak, 3),
        "rival_r": round(offset.rival, 3),
        "accepted": offset.accepted,
    }


def _sound_of(samples: Float32[np.ndarray, " s"], video: range) -> Float32[np.ndarray, " p"]:
    per_frame = round(SAMPLE_RATE_HZ / FPS)
    return samples[video.start * per_frame : video.stop * per_frame]


def _together(each: Sequence[dict[str, Any]], videos: Sequence[range]) -> dict[str, Any]:
    """The facts of all videos: means over time, and what was found in each."""
    lengths = [len(video) for video in videos]
    means = {
        name: round(float(np.average([one[name] for one in each], weights=lengths)), 3)
        for name in ("offset_frames", "peak_r", "rival_r")
    }
    accepted = all(one["accepted"] for one in each)
    together = {"speech": "ok" if accepted else "unsynchronised", "encoder": each[0]["encoder"], "accepted": accepted}
    return together | means | {"videos": list(each)}


def _samples(subject: Subject) -> np.ndarray:
    """The subject's sound, or an empty array."""
    try:
        return subject.audio()
    except UserError:
        return np.zeros(0, np.float32)
