"""The *speech* stage of a subject: features, and the offset of sound against picture taken out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.core.sequence import pieces
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.lip_targets import lip_shapes, project
from ua3dtalk.priors.offset import FAR_FRAMES, Offset, find_offset
from ua3dtalk.priors.speech_choice import CONTENT_FILE, EMOTION_FILE, SpeechChoice
from ua3dtalk.priors.speech_features import SpeechEncoder, frame_level_db
from ua3dtalk.subject.parts import joints_of
from ua3dtalk.subject.speech_data import SCHEMA, SpeechFeatures
from ua3dtalk.subject.store import FPS, SAMPLE_RATE_HZ, Subject

STAGE = "speech"
QUIET_DB = -60.0
SPEECH_FLOOR_DB = -50.0
SURE_FRAMES = 200
"""So much video (8 s) is enough to find its offset."""
AUDIO_FRAMES = 4
"""Of the features, per video frame."""


def run_speech_stage(
    subject: Subject,
    progress: Progress = Silent(),  # noqa: B008
    choice: SpeechChoice = SpeechChoice(),  # noqa: B008
    encoder: SpeechEncoder | None = None,
) -> None:
    """Write ``speech.npz`` on the picture's time axis and record what was found (DESIGN §6).

    Facts: ``speech`` is ``"ok"``, ``"unsynchronised"`` (sound without a believable offset: used as it is) or ``"none"``
    (missing or silent: no file); ``offset_frames`` is the correction applied (+ = the sound came late), ``peak_r`` and
    ``rival_r`` belong to it; ``rms_db`` and ``silent_share`` describe the sound. Of several videos each is heard and
    moved by itself: ``videos`` holds what was found in each, and ``offset_frames`` is the mean over time.

    Args:
        subject: A prepared subject.
        progress: Where to report.
        choice: Speech model and priors; files are copied into the subject's folder.
        encoder: What ``choice.open()`` gave; opened here when None.

    Raises:
        UserError: the choice does not fit together, see ``SpeechChoice.open``.
    """
    encoder = encoder or choice.open()
    settings = {"encoder": encoder.name, "schema": SCHEMA} | choice.hashes
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
    prior = choice.content_prior()
    points, videos = subject.track().head_points, pieces(subject.num_frames, joints_of(subject))
    if len(videos) == 1:
        speech, offset = _hear(samples, points, encoder, prior, progress)
        frames = offset.frames if offset.accepted else None
        speech, found = _moved(speech, frames or 0.0), _described(offset, frames, encoder)
    else:
        heard = [_hear(_sound_of(samples, v), points[v.start : v.stop], encoder, prior, progress) for v in videos]
        offsets = [offset for _, offset in heard]
        applied = offsets_of_one_camera(offsets, [len(video) for video in videos])
        moved = [_moved(one, frames or 0.0) for (one, _), frames in zip(heard, applied, strict=True)]
        whole = [one.part(0, len(video) * AUDIO_FRAMES) for one, video in zip(moved, videos, strict=True)]
        each = [_described(offset, frames, encoder) for offset, frames in zip(offsets, applied, strict=True)]
        speech, found = SpeechFeatures.joined(whole), _together(each, videos)
    speech.save(subject.folder / "speech.npz")
    for name in (CONTENT_FILE, EMOTION_FILE):
        if name in choice.files:
            with atomic_path(subject.folder / name) as partial:
                shutil.copyfile(choice.files[name], partial)
        else:
            (subject.folder / name).unlink(missing_ok=True)
    subject.finish_stage(STAGE, ["speech.npz", *choice.files], facts | found, settings)


def _hear(
    samples: Float32[np.ndarray, " s"],
    points: Float[np.ndarray, "t 468 3"],
    encoder: SpeechEncoder,
    prior: ContentPrior,
    progress: Progress,
) -> tuple[SpeechFeatures, Offset]:
    """Features of one video's sound, and where its picture lies against it."""
    speech = encoder.encode(samples, progress)
    steps = np.arange(int(speech.num_audio_frames / speech.rate_hz * 50)) / 50
    offset = find_offset(prior.predict(speech, steps), project(lip_shapes(points), prior.basis))
    log.info(
        "sound is %+.1f frames from the picture (r %.2f, rival %.2f): %s",
        offset.frames, offset.peak, offset.rival, "believed" if offset.accepted else "not believed",
    )  # fmt: skip
    return speech, offset


def offsets_of_one_camera(offsets: Sequence[Offset], lengths: Sequence[int]) -> list[float | None]:
    """The corrections to use for several videos of one camera, frames; None where nothing is believed.

    A few seconds say little: a video of less than 8 s is believed only within four frames of the longest believed one
    of 8 s and more, and takes its offset over else (measured: 3 s with a foreign voice "found" the search's border).

    Args:
        offsets: What each says.
        lengths: Frames of each.
    """
    long = [k for k, offset in enumerate(offsets) if offset.accepted and lengths[k] >= SURE_FRAMES]
    if not long:
        return [offset.frames if offset.accepted else None for offset in offsets]
    sure = offsets[max(long, key=lambda k: lengths[k])].frames
    applied: list[float | None] = []
    for offset, length in zip(offsets, lengths, strict=True):
        near = offset.accepted and abs(offset.frames - sure) <= FAR_FRAMES
        taken = offset.frames if near or (offset.accepted and length >= SURE_FRAMES) else sure
        applied.append(None if length >= SURE_FRAMES and not offset.accepted else taken)
    return applied


def _moved(speech: SpeechFeatures, frames: float) -> SpeechFeatures:
    return speech.shifted(frames / FPS) if frames else speech


def _described(offset: Offset, applied: float | None, encoder: SpeechEncoder) -> dict[str, Any]:
    """Facts about one video; ``applied`` is the correction, None where there is none that is believed."""
    return {
        "speech": "unsynchronised" if applied is None else "ok",
        "encoder": encoder.name,
        "offset_frames": applied or 0.0,
        "peak_frames": offset.frames,
        "peak_r": round(offset.peak, 3),
        "rival_r": round(offset.rival, 3),
        "accepted": offset.accepted and applied == offset.frames,
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
    fine = all(one["speech"] == "ok" for one in each)
    together = {"speech": "ok" if fine else "unsynchronised", "encoder": each[0]["encoder"], "accepted": fine}
    return together | means | {"videos": list(each)}


def _samples(subject: Subject) -> np.ndarray:
    """The subject's sound, or an empty array."""
    try:
        return subject.audio()
    except UserError:
        return np.zeros(0, np.float32)
