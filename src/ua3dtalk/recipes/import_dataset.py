"""A folder that another system prepared to subject: its files and our tracking, then speech and the data report."""

from __future__ import annotations

from pathlib import Path

from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.priors.speech_choice import SpeechChoice
from ua3dtalk.recipes.prepare import finish_subject
from ua3dtalk.subject.consent import Asker
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.imported.importing import import_folder
from ua3dtalk.tracking.prepare_config import PrepareConfig


def import_subject(
    folder: Path,
    out: Path,
    config: PrepareConfig | None = None,
    *,
    speech: SpeechChoice | None = None,
    ask: Asker | None = None,
    progress: Progress | None = None,
) -> Subject:
    """Make a subject of a folder in the layout of TalkingGaussian, ER-NeRF and RAD-NeRF.

    Args:
        folder: The one that holds ``transforms_train.json``.
        out: Subject folder to write; an interrupted run is continued.
        config: Size, labels, face model; None for the defaults.
        speech: Speech model and priors; None for those of the package.
        ask: Whether the person agreed; not called where the subject remembers it. None records nothing.
        progress: Where to report.

    Raises:
        UserError: the folder cannot become a subject; says why.
    """
    report = progress or Silent()
    speech = speech or SpeechChoice()
    encoder = speech.open()  # before the long work
    return finish_subject(import_folder(folder, out, config or PrepareConfig(), report, ask), report, speech, encoder)
