"""Results as text: nested facts become a list of facts, rows of results a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def table(values: Mapping[str, Any]) -> str:
    """One line per fact: its dotted name and its value; numbers with four digits, lists by their length."""
    rows = list(_rows(values, ""))
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def grid(rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """One line per row of results, one column per value.

    Args:
        rows: Nested results by the row's name.
        columns: The dotted path of a column's value within a row, by the column's title; absent values show as a dash.
    """
    lines = [["", *columns]]
    for name, row in rows.items():
        facts = dict(_rows(row, ""))
        lines.append([name, *("-" if facts.get(path) in (None, "None") else facts[path] for path in columns.values())])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    aligned = (
        [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    )
    return "\n".join("  ".join(cells) for cells in aligned)


def _rows(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)) and len(value) > 6:
        return f"{len(value)} values"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(v) for v in value)
    return str(value)
