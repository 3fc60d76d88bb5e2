"""Every case of bad input that the design names is in the table of the reliability page, with a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

CASES = {
    *("no file", "not a video", "truncated video", "no sound", "no face", "several faces", "cartoon face", "too short"),
    *("face lost in some frames", "face lost for long", "odd frame rate", "rotated video", "very large video"),
    *("stereo, 48 kHz, 8-bit sound", "silence", "samples that are not finite", "features that are not finite"),
    *("disk full", "killed while writing", "killed while preparing", "killed while training"),
    *("another schema", "tampered checkpoint", "names with leading dashes or spaces"),
    *("pickled or executable content", "the viewer and strangers", "synthesized video"),
}
"""DESIGN §15, in the words of the page."""


def test_every_case_has_its_test(root: Path) -> None:
    page = (root / "docs" / "reliability.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 25
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (root / file).is_file() or (name and f"def {name}(" not in (root / file).read_text())
    ]
    assert not missing


def test_no_case_of_the_design_is_missing(root: Path) -> None:
    table = (root / "docs" / "reliability.md").read_text().partition("## Bad input, case by case")[2]
    rows = [re.split(r"\s*\|\s*", line.strip())[1:-1] for line in table.splitlines() if line.startswith("| ")]
    assert {row[0] for row in rows} >= CASES
    assert [row[0] for row in rows if len(row) != 3 or (row[0] != "case" and "`tests/" not in row[2])] == []
