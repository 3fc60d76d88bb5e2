"""The ablation's cells as one table: mean and spread over seeds, differences to the baseline and to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path, read_json, write_json
from ua3dtalk.core.provenance import provenance
from ua3dtalk.recipes.ablation.cell import CELL, TRAINING, Cell, is_finished, metrics_of, read_cell
from ua3dtalk.recipes.ablation.rows import BASELINE, OURS, PAPER, ablation_rows
from ua3dtalk.recipes.ablation.text import markdown, plain_text

SCHEMA_VERSION = 1
PROTOCOLS = ("driven", "audio-only")
REFERENCE = "real"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A number of the table."""

    key: str
    """Name in the JSON."""
    title: str
    """Heading."""
    path: str
    """Where a row of ``metrics.json`` has it."""
    unit: str = ""
    """Unit; empty for plain numbers."""
    ideal: str
    """``higher``, ``lower``, ``one``, ``zero``, or as the real video has it (``real``)."""


COLUMNS = (
    Column(key="head_psnr_db", title="head PSNR", path="regions.head.psnr_db.mean", unit="dB", ideal="higher"),
    Column(key="head_ssim", title="head SSIM", path="regions.head.ssim.mean", ideal="higher"),
    Column(key="mouth_psnr_db", title="mouth-box PSNR", path="regions.mouth.psnr_db.mean", unit="dB", ideal="higher"),
    Column(key="mouth_ssim", title="mouth-box SSIM", path="regions.mouth.ssim.mean", ideal="higher"),
    Column(key="lmd_px", title="LMD", path="lmd_px.mean", unit="px", ideal="lower"),
    Column(key="opening_r", title="opening r", path="opening.correlation", ideal="higher"),
    Column(key="opening_amplitude", title="opening amplitude", path="opening.amplitude", ideal="one"),
    Column(key="lag_frames", title="lag", path="opening.lag_frames", unit="frames", ideal="zero"),
)


@dataclass(frozen=True, kw_only=True)
class PaperDifference:
    """What the paper's modules gained together."""

    metric: str
    """The paper's name of it."""
    baseline: float
    """TalkingGaussian."""
    full: float
    """UA-3DTalk."""
    beside: str | None
    """Our nearest column; None where we have none. Never the same number: other data, regions and extractors."""


PAPER_DIFFERENCES = (
    PaperDifference(metric="PSNR", baseline=25.533, full=28.408, beside="head_psnr_db"),
    PaperDifference(metric="SSIM", baseline=0.892, full=0.938, beside="head_ssim"),
    PaperDifference(metric="LMD", baseline=5.934, full=5.407, beside="lmd_px"),
    PaperDifference(metric="E-FID", baseline=0.356, full=0.145, beside="e_fid"),
    PaperDifference(metric="LPIPS", baseline=0.096, full=0.067, beside=None),
    PaperDifference(metric="Sync-C", baseline=4.886, full=5.152, beside="sync_c"),
)
PAPER_SOURCE = (
    "arXiv 2601.19112, MEAD subjects M003 and M030, as cited in public digests of the paper. Its ablation's baseline "
    "equals TalkingGaussian's cells of its main table, so that table's other metrics are used here too; the "
    "intermediate rows +P and +P+E were not available."
)


def cell_folders(out: Path) -> list[Path]:
    """Folders of all cells, finished or not, in the order of the rows and seeds."""
    order = [row.name for row in ablation_rows()]
    found = [path.parent for path in out.glob(f"*/seed*/{CELL}") if path.parent.parent.name in order]
    return sorted(found, key=lambda folder: (order.index(folder.parent.name), int(folder.name.removeprefix("seed"))))


def ablation_table(out: Path) -> dict[str, Any]:
    """Gather all finished cells and write ``ablations.json``, ``ablations.md`` and ``ablations.txt``.

    Args:
        out: Folder of ``run_ablations``.

    Returns:
        What ``ablations.json`` holds.

    Raises:
        UserError: no cell is finished.
    """
    folders = [folder for folder in cell_folders(out) if is_finished(folder)]
    if not folders:
        raise UserError(f"{out} holds no finished cell.", "See log.txt in the folders of the cells.")
    cells = [(read_cell(folder), metrics_of(folder), folder) for folder in folders]
    columns = _columns([metrics for _, metrics, _ in cells])
    flat = [_flat_cell(cell, metrics, folder, columns) for cell, metrics, folder in cells]
    table = {
        "schema": SCHEMA_VERSION,
        "settings": _settings(cells),
        "columns": {column.key: to_plain(column) for column in columns},
        "rows": table_rows(flat, [column.key for column in columns]),
        "paper": {
            "row": PAPER,
            "source": PAPER_SOURCE,
            "differences": [
                to_plain(d) | {"delta": round(d.full - d.baseline, 4), "relative": round(d.full / d.baseline - 1, 4)}
                for d in PAPER_DIFFERENCES
            ],
        },
        "cells": flat,
        "provenance": provenance(),
    }
    write_json(out / "ablations.json", table)
    for name, text in {"ablations.md": markdown(table), "ablations.txt": plain_text(table)}.items():
        with atomic_path(out / name) as partial:
            partial.write_text(text)
    return table


def table_rows(cells: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, Any]:
    """Per row, protocol and key: mean, standard deviation over seeds (None for one), and differences paired by seed,
    also relative to the other row's mean.

    Args:
        cells: Flat cells with ``row``, ``seed``, ``training_s`` and ``metrics[protocol][key]``.
        keys: What to gather.
    """
    rows: dict[str, Any] = {}
    for row in ablation_rows():
        own = [cell for cell in cells if cell["row"] == row.name]
        if not own:
            continue
        seconds = [cell["training_s"] for cell in own if cell["training_s"] is not None]
        rows[row.name] = {
            "says": row.says,
            "seeds": [cell["seed"] for cell in own],
            "training_s": fmean(seconds) if seconds else None,
            "protocols": {
                protocol: {key: _entry(cells, row.name, protocol, key) for key in keys}
                for protocol in (*PROTOCOLS, REFERENCE)
            },
        }
    return rows


def _entry(cells: Sequence[Mapping[str, Any]], row: str, protocol: str, key: str) -> dict[str, Any]:
    def by_seed(name: str) -> dict[int, float]:
        own = {c["seed"]: c["metrics"].get(protocol, {}).get(key) for c in cells if c["row"] == name}
        return {seed: value for seed, value in own.items() if value is not None}

    values = by_seed(row)
    entry: dict[str, Any] = {"values": list(values.values()), **_summary(list(values.values()))}
    for name, other in (("delta_to_baseline", BASELINE), ("delta_to_ours", OURS)):
        reference = by_seed(other) if other != row and protocol != REFERENCE else {}
        pairs = [(value, reference[seed]) for seed, value in values.items() if seed in reference]
        entry[name] = _difference(pairs) if pairs else None
    return entry


def _difference(pairs: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    mean = fmean(other for _, other in pairs)
    found = _summary([value - other for value, other in pairs])
    return found | {"relative": fmean(value - other for value, other in pairs) / mean if mean else None}


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "mean": fmean(values) if values else None,
        "std": stdev(values) if len(values) > 1 else None,
    }


def _columns(metrics: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Ours, then every further measure that a cell of this run has a value for."""
    found: dict[str, Column] = {}
    for one in metrics:
        definitions = one.get("settings", {}).get("measures", {})
        for protocol in PROTOCOLS:
            for key, measure in one["rows"].get(protocol, {}).get("measures", {}).items():
                if measure.get("value") is not None and key not in found:
                    about = definitions.get(key, {})
                    found[key] = Column(
                        key=key,
                        title=about.get("title", key),
                        path=f"measures.{key}.value",
                        unit=about.get("unit", ""),
                        ideal=about.get("ideal", "real"),
                    )
    return [*COLUMNS, *found.values()]


def _flat_cell(cell: Cell, metrics: Mapping[str, Any], folder: Path, columns: Sequence[Column]) -> dict[str, Any]:
    training = read_json(folder / TRAINING) if (folder / TRAINING).exists() else {}
    given = metrics.get("settings", {}).get("given", {})
    return {
        "row": cell.row,
        "seed": cell.seed,
        "training_s": training.get("seconds"),
        "threads": training.get("threads"),
        "gaussians": given.get("gaussians"),
        "backend": given.get("backend"),
        "commit": metrics.get("provenance", {}).get("software", {}).get("commit"),
        "metrics": {
            protocol: {column.key: _at(metrics["rows"][protocol], column.path) for column in columns}
            for protocol in (*PROTOCOLS, REFERENCE)
            if protocol in metrics["rows"]
        },
    }


def _at(values: Any, path: str) -> float | None:
    for name in path.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return None
        values = values[name]
    return None if values is None else float(values)


def _settings(cells: Sequence[tuple[Cell, Mapping[str, Any], Path]]) -> dict[str, Any]:
    first, metrics, _ = cells[0]
    settings = metrics.get("settings", {})
    return {
        "preset": first.config.preset,
        "max_steps": first.max_steps,
        "overrides": first.overrides,
        "steps": sum(stage.steps for stage in first.config.stages),
        "seeds": sorted({cell.seed for cell, _, _ in cells}),
        "subject": settings.get("given", {}).get("subject"),
        "subject_sha256": first.subject_sha256,
        "frames": settings.get("frames"),
        "configurations": {cell.row: to_plain(cell.config) for cell, _, _ in reversed(cells)},
        "spread": "standard deviation over seeds (n - 1); differences are paired by seed",
    }
