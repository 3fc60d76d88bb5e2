"""A subject folder of its own for every seed, so that cells that run at once do not fit priors over each other."""

from __future__ import annotations

from pathlib import Path

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import read_json, write_json
from ua3dtalk.core.progress import Progress
from ua3dtalk.priors.pipeline import STAGE, PriorsConfig, fit_priors
from ua3dtalk.subject.store import Subject

INDEX, PRIORS = "subject.json", "priors.safetensors"


def subject_with_priors(subject: Subject, folder: Path, seed: int, progress: Progress) -> Path:
    """A folder with the subject's files, linked, and the priors of one seed, fitted here.

    Training fits priors into the subject's folder with the seed of the run; two seeds at the same time would overwrite
    each other's, and the user's. Nothing is written into the subject's own folder, and what is in it is not copied.

    Args:
        subject: The prepared subject.
        folder: Where; made again when the subject was prepared again or moved.
        seed: Seed of the priors.
        progress: Where to report.

    Returns:
        ``folder``.

    Raises:
        UserError: the subject cannot be trained on, or this file system has no symbolic links.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in subject.folder.resolve().iterdir():
        if source.name not in (INDEX, PRIORS) and not source.name.startswith("."):
            _link(folder / source.name, source)
    wanted = read_json(subject.folder / INDEX)
    wanted["stages"].pop(STAGE, None)
    index = folder / INDEX
    found = read_json(index) if index.exists() else {"stages": {}}
    found["stages"].pop(STAGE, None)
    if found != wanted:
        write_json(index, wanted)
    fit_priors(Subject.open(folder), PriorsConfig(seed=seed), progress)
    return folder


def _link(link: Path, target: Path) -> None:
    if link.is_symlink():
        if link.readlink() == target:
            return
        link.unlink()
    try:
        link.symlink_to(target, target_is_directory=target.is_dir())
    except OSError as error:
        raise UserError(f"{link} cannot be a link to {target} ({error.strerror}).", "Choose another --out.") from error
