"""Reports as one HTML file each that needs nothing else, made to be read on a phone too."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:60rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem;line-height:1.2}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}
small{color:#555;font-size:.75rem}img{max-width:100%;height:auto}video{width:100%}
dt{font-weight:600}dd{margin:0 0 .5rem}
@media(prefers-color-scheme:dark){body,th:first-child,td:first-child{background:#161616;color:#eee}
small{color:#aaa}th,td{border-color:#333}img{background:#fff}}
"""


def document(title: str, heading: str, parts: Iterable[str], style: str = "") -> str:
    """A whole page.

    Args:
        title: Of the window; plain text.
        heading: First line; plain text.
        parts: HTML, in order.
        style: CSS to add.
    """
    top = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width,initial-scale=1'><title>{escape(title)}</title>"
        f"<style>{_STYLE}{style}</style><h1>{escape(heading)}</h1>"
    )
    return "\n".join([top, *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself where it is too wide; cells are HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{top}</tr>{body}</table></div>"


def facts_table(values: Mapping[str, Any]) -> str:
    """Nested facts as a table of dotted names and values; plain values."""
    return table(("setting", "value"), [[escape(name), escape(text)] for name, text in _flat(values, "")])


def _flat(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", str(value)))
    return found


def picture(description: str, kind: str, data: bytes) -> str:
    """A picture inside the page.

    Args:
        description: What it shows; plain text.
        kind: Media type, e.g. ``image/png``.
        data: The file's bytes.
    """
    return f"<img alt='{escape(description)}' src='{data_url(kind, data)}'>"


def data_url(kind: str, data: bytes) -> str:
    """A file as an address that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def number(value: float | int | None, form: str, unit: str = "") -> str:
    """A number for people, a dash where there is none."""
    return "–" if value is None else f"{value:{form}}{unit}"
