"""``import``: from a folder that another system prepared to a subject folder, stage by stage, resumable."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.subject.consent import Asker
from ua3dtalk.subject.labels import read_emotion_csv
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.tracking.imported import stages
from ua3dtalk.tracking.imported.layout import read_layout
from ua3dtalk.tracking.pipeline import PlannedStage, run_stages
from ua3dtalk.tracking.prepare_config import PrepareConfig

VERSION = 1
"""Raised when what an import makes of the same folder changes."""


def import_folder(
    folder: Path, out: Path, config: PrepareConfig, progress: Progress | None = None, ask: Asker | None = None
) -> Subject:
    """Make a subject folder of a folder in the layout of TalkingGaussian, ER-NeRF and RAD-NeRF.

    Args:
        folder: The one that holds ``transforms_train.json``.
        out: The subject folder; made if need be, gone on with if unfinished.
        config: Settings of ``prepare``; those of stages that are not run have no effect.
        progress: Where progress is shown.
        ask: Whether the person agreed; not called where the subject remembers it. None records nothing.

    Returns:
        The finished subject; its ``speech`` stage comes later (``priors``).

    Raises:
        UserError: the folder cannot be used; what this call made is removed again.
    """
    layout = read_layout(folder)
    source = SourceFacts(
        name=folder.resolve().name,
        sha256=layout.fingerprint(),
        num_frames=0,
        width=0,
        height=0,
        labels=tuple(read_emotion_csv(config.labels)) if config.labels else (),
    )
    plan = [
        PlannedStage(
            name=name,
            run=partial(run, layout, config=config, progress=progress or Silent()),
            settings={"import": VERSION, **config.settings_of(name)},
        )
        for name, run in (
            ("frames", stages.run_frames),
            ("landmarks", stages.run_landmarks),
            ("pose", stages.run_pose),
            ("parsing", stages.run_parsing),
            ("expression", stages.run_expression),
            ("layers", stages.run_layers),
            ("audio", stages.run_audio),
        )
    ]
    return run_stages(out, source, plan, ask)
