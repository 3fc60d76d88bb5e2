"""Video to subject: tracking, speech, and a report on what the video is good for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.priors.speech_choice import SpeechChoice
from ua3dtalk.priors.speech_features import SpeechEncoder
from ua3dtalk.priors.speech_stage import run_speech_stage
from ua3dtalk.recipes.data_report.report import PAGE_NAME, write_data_report
from ua3dtalk.subject.consent import Asker
from ua3dtalk.subject.parts import videos_of
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.pipeline import prepare
from ua3dtalk.tracking.prepare_config import PrepareConfig


def prepare_subject(
    video: Path | Sequence[Path],
    out: Path,
    config: PrepareConfig | None = None,
    *,
    speech: SpeechChoice | None = None,
    ask: Asker | None = None,
    progress: Progress | None = None,
) -> Subject:
    """Prepare a portrait video of one speaker, and report on it (``report.html``, ``report.json``).

    Args:
        video: Any container and codec that FFmpeg's libraries read; or several, of one speaker by one camera.
        out: Subject folder to write; an interrupted run is continued.
        config: Size, part of the video, labels, face model; None for the defaults.
        speech: Speech model and priors; None for those of the package.
        ask: Whether the person agreed; not called where the subject remembers it. None records nothing.
        progress: Where to report.

    Raises:
        UserError: the video cannot become a subject; says why. Where the report says so (a still image, a cut), the
            folder stays with it.
    """
    report = progress or Silent()
    config, speech = config or PrepareConfig(), speech or SpeechChoice()
    encoder = speech.open()  # before the long work
    subject = prepare(video, out, config, report, ask)
    return finish_subject(subject, report, speech, encoder, 0.0 if videos_of(subject) else config.start_s)


def finish_subject(
    subject: Subject, progress: Progress, speech: SpeechChoice, encoder: SpeechEncoder, start_s: float = 0.0
) -> Subject:
    """Speech and the data report, after tracking.

    Args:
        subject: All stages of tracking done.
        progress: Where to report.
        speech: Speech model and priors.
        encoder: What ``speech`` opened.
        start_s: Where the subject begins in its video, seconds.

    Raises:
        UserError: the report says that its pictures cannot become an avatar; the folder stays, with the report.
    """
    run_speech_stage(subject, progress, speech, encoder)
    for finding in write_data_report(subject, start_s, progress):
        if finding.stops == "prepare":
            page = subject.folder / PAGE_NAME
            raise UserError(f"{subject.source.name}: {finding.what}", f"{finding.cure} {page} says more.")
    return Subject.open(subject.folder)
