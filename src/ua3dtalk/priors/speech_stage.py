"""The *speech* stage of a subject: features, and the offset of sound against picture taken out."""

from __future__ import annotations

import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.lip_targets import lip_shapes, project
from ua3dtalk.priors.offset import find_offset
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder, frame_level_db
from ua3dtalk.subject.speech_data import SCHEMA
from ua3dtalk.subject.store import Subject

STAGE = "speech"
QUIET_DB = -60.0
SPEECH_FLOOR_DB = -50.0


def run_speech_stage(
    subject: Subject,
    progress: Progress = Silent(),  # noqa: B008
    encoder: SpeechEncoder | None = None,
    prior: ContentPrior | None = None,
) -> None:
    """Write ``speech.npz`` on the picture's time axis and record what was found (DESIGN §6).

    Facts: ``speech`` is ``"ok"``, ``"unsynchronised"`` (sound without a believable offset: used as it is) or ``"none"``
    (missing or silent: no file); ``offset_frames`` is the correction applied (+ = the sound came late), ``peak_r`` and
    ``rival_r`` belong to it; ``rms_db`` and ``silent_share`` describe the sound.

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
    speech = encoder.encode(samples, progress)
    prior = prior or ContentPrior.load()
    track = subject.track()
    steps = np.arange(int(speech.num_audio_frames / speech.rate_hz * 50)) / 50
    offset = find_offset(prior.predict(speech, steps), project(lip_shapes(track.head_points), prior.basis))
    speech = speech.shifted(offset.applied_frames / subject.fps) if offset.applied_frames else speech
    speech.save(subject.folder / "speech.npz")
    log.info(
        "sound is %+.1f frames from the picture (r %.2f, rival %.2f): %s",
        offset.frames, offset.peak, offset.rival, "corrected" if offset.accepted else "not believed, left as it is",
    )  # fmt: skip
    facts |= {
        "speech": "ok" if offset.accepted else "unsynchronised",
        "encoder": encoder.name,
        "offset_frames": offset.applied_frames,
        "peak_frames": offset.frames,
        "peak_r": round(offset.peak, 3),
        "rival_r": round(offset.rival, 3),
        "accepted": offset.accepted,
    }
    subject.finish_stage(STAGE, ["speech.npz"], facts, settings)


def _samples(subject: Subject) -> np.ndarray:
    """The subject's sound, or an empty array."""
    try:
        return subject.audio()
    except UserError:
        return np.zeros(0, np.float32)
