"""What a subject is and what its data report says, on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ua3dtalk.subject.store import Subject

SHOWN = 3


def described(subject: Subject) -> tuple[str, dict[str, Any]]:
    """Length and size of a subject, as a sentence and for scripts."""
    from ua3dtalk.core.config import to_plain

    seconds = subject.num_frames / subject.fps
    values = {
        "subject": str(subject.folder),
        "num_frames": subject.num_frames,
        "seconds": seconds,
        "width": subject.width,
        "height": subject.height,
        "has_audio": subject.has_audio,
        "consent": to_plain(subject.consent),
    }
    size = f"{subject.num_frames} frames of {subject.width}x{subject.height}, {seconds:.1f} s."
    return f"{subject.folder}: {size}", values


def findings_of(subject: Subject) -> tuple[str, dict[str, Any]]:
    """The verdict, the most important findings, where all are, and what to do next; and the same for scripts."""
    from ua3dtalk.core.config import to_plain
    from ua3dtalk.recipes.data_report.findings import most_important, verdict
    from ua3dtalk.recipes.data_report.report import PAGE_NAME, recorded_findings

    findings = recorded_findings(subject)
    page = subject.folder / PAGE_NAME
    lines = [
        verdict(findings),
        *(f"  - {finding.what} {finding.cure}".rstrip() for finding in most_important(findings, SHOWN)),
        *([subject.consent.sentence()] if subject.consent else []),
        f"All findings, with pictures: {page}",
    ]
    if all(finding.level != "refuse" for finding in findings):
        lines.append(f"Next: ua3dtalk train {subject.folder} --out AVATAR")
    values = {"verdict": verdict(findings), "findings": to_plain(findings), "report": str(page)}
    return "\n".join(lines), values
