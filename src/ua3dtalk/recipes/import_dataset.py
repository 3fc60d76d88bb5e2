"""A folder that another system prepared to subject: its files and our tracking, then speech and the data report."""

from __future__ import annotations

from pathlib import Path

from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.recipes.prepare import DEFAULT_SIZE, finish_subject
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.imported.importing import import_folder
from ua3dtalk.tracking.prepare_config import PrepareConfig


def import_subject(
    folder: Path,
    out: Path,
    *,
    size: int | None = None,
    labels: Path | None = None,
    face_model: Path | None = None,
    progress: Progress | None = None,
) -> Subject:
    """Make a subject of a folder in the layout of TalkingGaussian, ER-NeRF and RAD-NeRF.

    Args:
        folder: The one that holds ``transforms_train.json``.
        out: Subject folder to write; an interrupted run is continued.
        size: Largest side of the stored frames in pixels; smaller pictures keep their size. None is 512.
        labels: CSV ``start_s,end_s,label[,intensity]`` of emotions.
        face_model: A ``face_landmarker.task`` to use instead of the built-in landmarks.
        progress: Where to report.

    Raises:
        UserError: the folder cannot become a subject; says why.
    """
    report = progress or Silent()
    config = PrepareConfig(size=size or DEFAULT_SIZE, labels=labels, face_model=face_model)
    return finish_subject(import_folder(folder, out, config, report), report)
