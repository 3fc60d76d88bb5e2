"""The ablation's table as Markdown and as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MEANINGS = {
    "driven": "Driven: the mouth from the sound; pose and upper-face signals of the real test frames",
    "audio-only": "Audio only: nothing of the test frames but sound and pose",
}
ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1", "zero": "→ 0", "real": "→ real"}
DIFFERENCES = {"delta_to_baseline": "Difference to the baseline", "delta_to_ours": "Difference to ours"}
VARIANT = "ours-"
"""Beginning of the names of what is compared with ours; the other rows are compared with the baseline."""
Grid = list[list[str]]
"""Lines of cells; metrics go down, rows of the ablation go across."""


def markdown(table: Mapping[str, Any]) -> str:
    """For documents."""
    parts = ["# Ablation", _about(table)]
    for title, lines in _grids(table):
        parts += [f"## {title}", _pipes(lines)]
    parts += ["## Rows", "\n".join(f"- **{name}**: {row['says']}" for name, row in table["rows"].items())]
    parts += ["## The paper's numbers", _paper(table)]
    return "\n\n".join(parts) + "\n"


def plain_text(table: Mapping[str, Any]) -> str:
    """For terminals."""
    parts = [_about(table)]
    for title, lines in _grids(table):
        parts.append(f"{title}\n{_aligned(lines)}")
    parts.append("\n".join(f"{name}: {row['says']}" for name, row in table["rows"].items()))
    parts.append(_paper(table))
    return "\n\n".join(parts) + "\n"


def _about(table: Mapping[str, Any]) -> str:
    settings = table["settings"]
    frames = settings["frames"] or {}
    changed = "".join(f", {name} = {value}" for name, value in settings["overrides"].items())
    return (
        f"Subject {settings['subject']}, preset {settings['preset']}{changed}, {settings['steps']} steps, seeds "
        f"{', '.join(str(seed) for seed in settings['seeds'])}; {frames.get('count', '?')} held-out frames of "
        f"{frames.get('width', '?')}×{frames.get('height', '?')}. Mean ± standard deviation over seeds."
    )


def _grids(table: Mapping[str, Any]) -> list[tuple[str, Grid]]:
    grids = []
    for protocol, meaning in MEANINGS.items():
        grids.append((meaning, _values(table, protocol)))
        for name, title in DIFFERENCES.items():
            if len(lines := _differences(table, protocol, name)) > 1:
                grids.append((f"{title}, {protocol}", lines))
    return [(title, [list(line) for line in zip(*lines, strict=True)]) for title, lines in grids]


def _values(table: Mapping[str, Any], protocol: str) -> Grid:
    columns = table["columns"]
    lines = [["", "seeds", *(_heading(column) for column in columns.values()), "training (s)"]]
    for name, row in table["rows"].items():
        entries = row["protocols"][protocol]
        seconds = row["training_s"]
        cells = [_number(entries[key], column) for key, column in columns.items()]
        lines.append([name, str(len(row["seeds"])), *cells, "–" if seconds is None else f"{seconds:.0f}"])
    first = next(iter(table["rows"].values()))["protocols"]["real"]
    lines.append(["real video", "", *(_number({**first[k], "std": None}, c) for k, c in columns.items()), ""])
    return lines


def _differences(table: Mapping[str, Any], protocol: str, name: str) -> Grid:
    columns = table["columns"]
    lines = [["", *(_heading(column) for column in columns.values())]]
    paper = {d["beside"]: d for d in table["paper"]["differences"] if d["beside"]}
    for row_name, row in table["rows"].items():
        entries = row["protocols"][protocol]
        compared = row_name.startswith(VARIANT) == (name == "delta_to_ours")
        if compared and any(entries[key][name] for key in columns):
            lines.append([row_name, *(_number(entries[key][name], c, "+") for key, c in columns.items())])
        if row_name == table["paper"]["row"] and name == "delta_to_baseline" and protocol == "driven":
            known = {key: {"mean": d["delta"], "std": None, "relative": d["relative"]} for key, d in paper.items()}
            lines.append(["the paper's", *(_number(known.get(key), c, "+") for key, c in columns.items())])
    return lines


def _heading(column: Mapping[str, Any]) -> str:
    unit = f" ({column['unit']})" if column["unit"] else ""
    return f"{column['title']}{unit} {ARROWS.get(column['ideal'], '')}".rstrip()


def _number(entry: Mapping[str, Any] | None, column: Mapping[str, Any], sign: str = "") -> str:
    if entry is None or entry["mean"] is None:
        return "–"
    digits = {"dB": 2, "frames": 1}.get(column["unit"], 3)
    spread = "" if entry["std"] is None else f" ± {entry['std']:.{digits}f}"
    relative = entry.get("relative") if column["ideal"] == "lower" else None  # distances have a scale of their own
    share = "" if relative is None else f" ({relative:+.0%})"
    return f"{entry['mean']:{sign}.{digits}f}{spread}{share}"


def _paper(table: Mapping[str, Any]) -> str:
    paper = table["paper"]
    facts = "; ".join(
        f"{d['metric']} {d['baseline']:g} → {d['full']:g} ({d['delta']:+g})" for d in paper["differences"]
    )
    return (
        f"Baseline → {paper['row']}: {facts}. Source: {paper['source']} They stand beside our nearest column for the "
        "direction and the order of size only: data, regions, resolution and extractors differ."
    )


def _pipes(lines: Grid) -> str:
    rule = ["---", *("---:" for _ in lines[0][1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    )
