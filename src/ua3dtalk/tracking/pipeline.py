"""``prepare``: from a video to a subject folder, stage by stage, resumable (DESIGN §2)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.media.joined import JoinedVideos
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.consent import Asker
from ua3dtalk.subject.labels import read_emotion_csv
from ua3dtalk.subject.parts import VideoPart, spans_of, videos_of
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.tracking import stage_face, stage_picture, stage_pose
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.stage_picture import Outcome


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage that is ready to run."""

    name: str
    """One of ``subject.store.STAGES``."""
    run: Callable[[Subject], Outcome]
    """Does it and says what it wrote and found."""
    settings: Mapping[str, Any]
    """What its output depends on, besides the source and the stages before it."""


def prepare(
    video: Path | Sequence[Path],
    out: Path,
    config: PrepareConfig,
    progress: Progress | None = None,
    ask: Asker | None = None,
) -> Subject:
    """Make a subject folder of a portrait video: frames, pose, masks, expression, layers, sound.

    Several videos of one person by one camera become one sequence: one head, one camera, one background. Nothing is
    smoothed or tracked across the joints, which the subject records.

    A stage that has finished with the same video and settings is not done again, so a killed run goes on where it
    was. Memory does not grow with the length of the video (but for a few floats per frame and landmark).

    Args:
        video: Any video with one speaker, or several of the same speaker.
        out: The subject folder; made if need be.
        config: Settings.
        progress: Where progress is shown.
        ask: Whether the person agreed; not called where the subject remembers it. None records nothing.

    Returns:
        The finished subject; its ``speech`` stage comes later (``priors``).

    Raises:
        UserError: the video cannot be used; what this call made is removed again.
    """
    progress = progress or Silent()
    videos = (video,) if isinstance(video, Path) else tuple(video)
    _check_labels(videos, config)
    reader = _reader(videos, config)
    if config.require_audio and not reader.facts.has_audio:
        raise UserError(f"{reader.path} has no sound.", "Give a video with sound, or do without speech.")
    source = _source(videos, config)
    plan = [
        PlannedStage(
            name=name,
            run=partial(run, reader=reader, config=config, progress=progress),
            settings=config.settings_of(name),
        )
        for name, run in (
            ("frames", stage_picture.run_frames),
            ("landmarks", stage_face.run_landmarks),
            ("pose", stage_pose.run_pose),
            ("parsing", stage_picture.run_parsing),
            ("expression", stage_face.run_expression),
            ("layers", stage_picture.run_layers),
            ("audio", stage_picture.run_audio),
        )
    ]
    subject = run_stages(out, source, plan, ask)
    if config.video_labels:
        whole = VideoPart(name=source.name, sha256=source.sha256, first=0, num_frames=subject.num_frames)
        subject.set_labels(spans_of(videos_of(subject) or (whole,), config.video_labels))
    return subject


def _check_labels(videos: Sequence[Path], config: PrepareConfig) -> None:
    """One label for each video, or a table for a single one."""
    given = len(config.video_labels)
    if given and given != len(videos):
        raise UserError(
            f"{given} emotion label{'s' * (given > 1)} for {len(videos)} video{'s' * (len(videos) > 1)}.",
            "Give one for each video, in the same order.",
        )
    if config.labels and len(videos) > 1:
        raise UserError(
            f"{config.labels} labels the times of one video, but there are {len(videos)}.",
            "Give one emotion for each video, or one video.",
        )


def _reader(videos: Sequence[Path], config: PrepareConfig) -> VideoReader:
    if not videos:
        raise UserError("No video is named.", "Name at least one.")
    if len(videos) == 1:
        return VideoReader(videos[0], config.start_s, config.max_seconds)
    return JoinedVideos(videos, config.start_s, config.max_seconds)


def _source(videos: Sequence[Path], config: PrepareConfig) -> SourceFacts:
    """What the subject is made of; several videos in another order are another source."""
    sums = [file_sha256(video) for video in videos]
    sha256 = sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()
    name = ", ".join(video.name for video in videos)
    labels = tuple(read_emotion_csv(config.labels)) if config.labels else ()
    return SourceFacts(name=name, sha256=sha256, num_frames=0, width=0, height=0, labels=labels)


def run_stages(out: Path, source: SourceFacts, plan: Sequence[PlannedStage], ask: Asker | None = None) -> Subject:
    """Run the stages that have not finished with these settings.

    Args:
        out: The subject folder; made if need be.
        source: What the subject is made of; a folder that was made of something else is begun anew.
        plan: The stages, in order.
        ask: Whether the person agreed; called before anything is written, and not where the subject remembers it.

    Raises:
        UserError: nobody agreed, or a stage refuses; what this call made is removed again.
    """
    existed = out.exists()
    _check_target(out)
    subject = _open_or_create(out, source, ask)
    try:
        for stage in plan:
            if subject.stage_done(stage.name, stage.settings):
                log.info("%s: already done", stage.name)
                continue
            subject.drop_stage(stage.name)
            files, facts = stage.run(subject)
            subject.finish_stage(stage.name, files, facts, stage.settings)
    except UserError:
        if not existed:
            shutil.rmtree(out, ignore_errors=True)
        raise
    return Subject.open(out)


def _check_target(out: Path) -> None:
    """Refuse to write into a folder that holds something else."""
    if out.is_file():
        raise UserError(f"{out} is a file.", "Give a folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / "subject.json").exists():
        raise UserError(f"{out} is not empty and not a subject folder.", "Give another folder.")


def _open_or_create(out: Path, source: SourceFacts, ask: Asker | None) -> Subject:
    """The subject to go on with: the old one if it is of the same video, else a new one; with consent."""
    old = _old_subject(out, source)
    consent = old.consent if old else None
    if consent is None and ask is not None:
        consent = ask()
    if old is None:
        return Subject.create(out, source, consent)
    if consent is not None and old.consent is None:
        old.set_consent(consent)
    old.set_labels(source.labels)
    return old


def _old_subject(out: Path, source: SourceFacts) -> Subject | None:
    if not (out / "subject.json").exists():
        return None
    try:
        old = Subject.resume(out)
    except UserError as error:
        log.warning("%s Starting anew.", error.what)
        return None
    if old.source_sha256 == source.sha256:
        return old
    log.warning("%s was made of another video (%s); starting anew.", out, old.source.name)
    return None
