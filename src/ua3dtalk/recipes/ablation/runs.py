"""The ablation as a run: every row with every seed, several at once, to be stopped and gone on with at any time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, Task, log
from ua3dtalk.recipes.ablation import cell as ablation_cell
from ua3dtalk.recipes.ablation.cell import Cell, is_finished, read_cell, run_cell, write_cell
from ua3dtalk.recipes.ablation.rows import select_rows
from ua3dtalk.recipes.ablation.subject import subject_with_priors
from ua3dtalk.recipes.ablation.table import ablation_table, cell_folders
from ua3dtalk.recipes.presets import preset
from ua3dtalk.recipes.train import require_trainable
from ua3dtalk.subject.store import Subject

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
LOG, SUBJECTS = "log.txt", "subjects"
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """What is compared."""

    rows: tuple[str, ...] | None = None
    """Names of the rows; None is all that differ."""
    seeds: int = 2
    """Trainings per row, with seeds 0, 1, …"""
    preset: str = "quick"
    """What the rows are changes of."""
    max_steps: int | None = None
    """Cap on the steps of a training; None takes the preset's."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the preset by dotted name, changed before the rows change theirs."""
    device: str = "cpu"
    """Where to compute."""
    evaluate_again: bool = False
    """Evaluate finished cells again, for metrics that were added since."""


def run_ablations(
    subject: Path, out: Path, plan: AblationPlan, *, workers: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """Train and evaluate the cells that are not finished yet, seed by seed, and write the table.

    One worker computes in this process with all its threads. More are processes of one thread each: on a few cores,
    two of one thread do more than one of two. Every cell has a folder ``<row>/seed<k>`` with its avatar and report; the
    subject's folder is only read. The table is written again after every cell; one that fails does not stop the others.

    Args:
        subject: Prepared subject.
        out: Where to write.
        plan: What is compared.
        workers: How many cells at once, ≥ 1.
        progress: Where to report.

    Returns:
        What ``ablations.json`` holds, and under ``failed`` the reason by cell.

    Raises:
        UserError: a row or preset does not exist, the subject cannot be trained on, or ``out`` holds another run.
    """
    if plan.seeds < 1 or workers < 1:
        raise ValueError(f"`seeds` and `workers` must be at least 1, got {plan.seeds} and {workers}.")
    report = progress or Silent()
    base = preset(plan.preset, max_steps=plan.max_steps, overrides=plan.overrides)
    names = [row.name for row in select_rows(plan.rows, base)]
    opened = Subject.open(subject)
    require_trainable(opened)
    require_same_run(out, plan, opened.source_sha256)
    folders = []
    for seed in range(plan.seeds):
        view = subject_with_priors(opened, out / SUBJECTS / f"seed{seed}", seed, report).resolve()
        folders += [_describe(out, name, seed, plan, opened.source_sha256, view) for name in names]
    left = [folder for folder in folders if plan.evaluate_again or not is_finished(folder)]
    with report.task("ablation", len(folders)) as task:
        task.advance(len(folders) - len(left))
        failed = _run_here(left, task, report) if workers == 1 else _run_processes(left, workers, task)
    return ablation_table(out) | {"failed": failed}


def _describe(out: Path, row: str, seed: int, plan: AblationPlan, subject_sha256: str, view: Path) -> Path:
    """Write what a cell is; returns its folder."""
    base = preset(plan.preset, seed=seed, max_steps=plan.max_steps, overrides=plan.overrides)
    cell = Cell(
        row=row,
        seed=seed,
        config=select_rows([row], base)[0].change(base),
        max_steps=plan.max_steps,
        overrides=dict(plan.overrides),
        subject_sha256=subject_sha256,
        subject=view,
        device=plan.device,
        evaluate_again=plan.evaluate_again,
    )
    folder = out / row / f"seed{seed}"
    write_cell(folder, cell)
    return folder


def require_same_run(out: Path, plan: AblationPlan, subject_sha256: str) -> None:
    """Refuse a folder with cells of another preset, length, settings or subject: one table must not mix them.

    Raises:
        UserError: there is such a cell; the message names it.
    """
    wanted = (preset(plan.preset).preset, plan.max_steps, dict(plan.overrides), subject_sha256)
    for folder in cell_folders(out):
        cell = read_cell(folder)
        if (cell.config.preset, cell.max_steps, cell.overrides, cell.subject_sha256) != wanted:
            raise UserError(
                f"{folder} belongs to another run (preset {cell.config.preset}, --max-steps {cell.max_steps}, "
                f"--set {cell.overrides}, subject {cell.subject_sha256[:8]}).",
                "Use another --out.",
            )


def _run_here(folders: Sequence[Path], task: Task, progress: Progress) -> dict[str, str]:
    failed: dict[str, str] = {}
    for folder in folders:
        try:
            run_cell(folder, progress)
            ablation_table(folder.parents[1])
        except (UserError, FloatingPointError) as error:
            failed[_name(folder)] = str(error)
            log.warning("%s failed: %s", _name(folder), error)
        task.advance(note=_name(folder))
    return failed


def _run_processes(folders: Sequence[Path], workers: int, task: Task) -> dict[str, str]:
    waiting, running, failed = list(folders), dict[Path, subprocess.Popen[bytes]](), dict[str, str]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                folder = waiting.pop(0)
                log.info("%s begins", _name(folder))
                running[folder] = _start(folder)
            for folder, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[folder]
                if process.returncode == 0:
                    ablation_table(folder.parents[1])
                else:
                    failed[_name(folder)] = _last_line(folder / LOG)
                    log.warning("%s failed: %s", _name(folder), failed[_name(folder)])
                task.advance(note=_name(folder))
            time.sleep(POLL_S)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    return failed


def _start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", ablation_cell.__name__, str(folder)]
    environment = os.environ | ONE_THREAD | {"OMP_WAIT_POLICY": "PASSIVE", "GLOG_minloglevel": "2"}
    with (folder / LOG).open("ab") as handle:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"
