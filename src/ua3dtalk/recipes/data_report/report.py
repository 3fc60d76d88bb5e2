"""Writes ``report.json`` and ``report.html`` into a subject folder, and remembers what they found (DESIGN §5.7)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.files import atomic_path, write_json
from ua3dtalk.core.progress import Progress
from ua3dtalk.core.provenance import provenance
from ua3dtalk.recipes.data_report import pictures
from ua3dtalk.recipes.data_report.finding import Finding
from ua3dtalk.recipes.data_report.findings import find, verdict
from ua3dtalk.recipes.data_report.measure import measure
from ua3dtalk.recipes.data_report.page import render_page
from ua3dtalk.subject.store import STAGES, Subject

STAGE = "report"
JSON_NAME, PAGE_NAME = "report.json", "report.html"
VERSION = 1
"""Raised when the report changes for the same subject, so that old ones are made again."""


def write_data_report(subject: Subject, start_s: float, progress: Progress) -> list[Finding]:
    """Write the report, unless it was made of the same data before.

    The files belong to the user, who may move them: the subject remembers only what they found.

    Args:
        subject: With its *speech* stage done.
        start_s: Where the subject begins in the source video, seconds.
        progress: Where to report.

    Returns:
        All findings, the most important first.
    """
    settings = {"version": VERSION, "start_s": start_s, "data": _fingerprint(subject)}
    there = all((subject.folder / name).is_file() for name in (JSON_NAME, PAGE_NAME))
    if there and subject.stage_done(STAGE, settings):
        return recorded_findings(subject)
    found = measure(subject, start_s, progress)
    findings = find(found.facts)
    shown = {
        "What was found": pictures.overview(subject, found),
        "Extremes": pictures.extremes(subject, found),
        "Layers": pictures.layers(subject),
    }
    made_by = provenance()
    page = render_page(subject.source.name, findings, found, shown, made_by)
    with atomic_path(subject.folder / PAGE_NAME) as partial:
        partial.write_text(page, encoding="utf-8")
    plain = {
        "schema": VERSION,
        "video": subject.source.name,
        "verdict": verdict(findings),
        "findings": to_plain(findings),
        "facts": to_plain(found.facts),
        "provenance": made_by,
    }
    write_json(subject.folder / JSON_NAME, plain)
    subject.finish_stage(STAGE, [], {"verdict": plain["verdict"], "findings": plain["findings"]}, settings)
    return findings


def recorded_findings(subject: Subject) -> list[Finding]:
    """What the report found, as the subject remembers it; empty if it was prepared before there were reports."""
    if not subject.stage_done(STAGE):
        return []
    return [from_plain(Finding, plain, "finding") for plain in subject.facts(STAGE)["findings"]]


def refusal(subject: Subject) -> Finding | None:
    """The first reason why no avatar can be trained, or None."""
    return next((finding for finding in recorded_findings(subject) if finding.level == "refuse"), None)


def _fingerprint(subject: Subject) -> str:
    """Changes with the video, the labels, and what any stage found."""
    data: dict[str, Any] = {"source": to_plain(subject.source)}
    data |= {stage: subject.facts(stage) for stage in (*STAGES, "speech")}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
