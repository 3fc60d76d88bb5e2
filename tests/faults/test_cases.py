"""Every case that the reliability page lists has the test that it names."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_case_has_its_test(root: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (root / "docs" / "reliability.md").read_text())
    assert len(named) > 25
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (root / file).is_file() or (name and f"def {name}(" not in (root / file).read_text())
    ]
    assert not missing
