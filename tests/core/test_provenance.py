"""Results say where they come from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import ua3dtalk
from ua3dtalk.core.provenance import AI_GENERATED, git_commit, hardware, provenance, software

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_provenance_is_json_with_versions_and_hardware() -> None:
    facts = json.loads(json.dumps(provenance()))
    assert facts["software"]["ua3dtalk"] == ua3dtalk.__version__
    assert facts["software"]["torch"] == software()["torch"]
    assert re.search(r"\d+ cores, \d+\.\d GiB$", hardware())


@pytest.mark.parametrize("kind", ["loose", "packed", "detached"])
def test_commit_is_read_from_a_checkout(tmp_path: Path, kind: str) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"{COMMIT}\n" if kind == "detached" else "ref: refs/heads/main\n")
    if kind == "loose":
        (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    if kind == "packed":
        (git / "packed-refs").write_text(f"# pack-refs\n{'f' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n")
    assert git_commit(tmp_path) == COMMIT


def test_no_checkout_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None


def test_generated_media_say_so() -> None:
    assert "AI-generated" in AI_GENERATED
