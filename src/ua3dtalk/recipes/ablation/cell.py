"""One cell of the ablation, a row with a seed: trained and evaluated in its own folder, also as a process of its own.

``python -m ua3dtalk.recipes.ablation.cell FOLDER`` runs the cell that ``cell.json`` in the folder describes. It stops
when the process that started it is gone, so that going on does not compute a cell twice at once.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import read_json, write_json
from ua3dtalk.core.progress import Progress, log
from ua3dtalk.core.progress_lines import LineProgress
from ua3dtalk.recipes.evaluate import evaluate_avatar
from ua3dtalk.recipes.train import train_avatar
from ua3dtalk.training.config import TrainConfig
from ua3dtalk.training.loop import STATE_FILE

SCHEMA_VERSION = 1
CELL, TRAINING, METRICS = "cell.json", "training.json", "report/metrics.json"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a cell is; stored as ``cell.json``."""

    row: str
    """Name of the row."""
    seed: int
    """Seed of training, priors and intervals."""
    config: TrainConfig
    """The row's configuration."""
    max_steps: int | None
    """Cap that the preset was shortened to."""
    overrides: dict[str, Any]
    """Settings of the preset that were changed for all rows."""
    subject_sha256: str
    """Identity of the subject."""
    subject: Path
    """Subject folder with the priors of this seed."""
    device: str
    """Where to compute."""
    evaluate_again: bool = False
    """Evaluate even if there is a report already."""
    schema: int = SCHEMA_VERSION
    """Version of this file."""


def write_cell(folder: Path, cell: Cell) -> None:
    """Describe a cell, new or to go on with.

    Raises:
        UserError: the folder holds a cell with other settings.
    """
    if (folder / CELL).exists():
        found, wanted = read_cell(folder), to_plain(cell)
        fixed = ("row", "seed", "config", "max_steps", "overrides", "subject_sha256")
        changed = [name for name in fixed if to_plain(getattr(found, name)) != wanted[name]]
        if changed:
            raise UserError(
                f"{folder} was made with another {' and '.join(changed)}.", "Use the same flags, or another --out."
            )
    write_json(folder / CELL, to_plain(cell))


def read_cell(folder: Path) -> Cell:
    """What ``write_cell`` wrote.

    Raises:
        UserError: it is missing, damaged or of another version.
    """
    plain = read_json(folder / CELL)
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA_VERSION:
        raise UserError(f"{folder / CELL} is not of this version.", "Use another --out.")
    return from_plain(Cell, plain, str(folder / CELL))


def is_finished(folder: Path) -> bool:
    """Whether a cell is trained and evaluated (``metrics.json`` is written last)."""
    return (folder / METRICS).is_file()


def run_cell(folder: Path, progress: Progress) -> None:
    """Train what is not trained yet, from where it stopped, and evaluate it.

    Args:
        folder: Cell's folder; gets ``avatar/``, ``training.json`` and ``report/``.
        progress: Where to report.

    Raises:
        UserError: the subject cannot be trained on, or files were altered.
        FloatingPointError: training diverged.
    """
    cell = read_cell(folder)
    device, avatar = torch.device(cell.device), folder / "avatar"
    if not (avatar / "avatar.json").exists():
        resumed, start = (avatar / STATE_FILE).exists(), time.monotonic()
        config = replace(cell.config, modes=replace(cell.config.modes, queries=0))  # cells are scored exactly
        train_avatar(cell.subject, avatar, config, device=device, resume=True, progress=progress)
        seconds = None if resumed else round(time.monotonic() - start, 1)
        write_json(folder / TRAINING, {"seconds": seconds, "threads": torch.get_num_threads()})
    if cell.evaluate_again or not is_finished(folder):
        report = folder / Path(METRICS).parent
        evaluate_avatar(avatar, report, subject=cell.subject, device=device, seed=cell.seed, progress=progress)


def main(arguments: list[str]) -> int:
    """Run the cell in a folder on one thread; what happens goes to stderr."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        run_cell(Path(arguments[0]), LineProgress(log.info))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def metrics_of(folder: Path) -> dict[str, Any]:
    """A finished cell's ``metrics.json``."""
    return read_json(folder / METRICS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
