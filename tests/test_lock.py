"""The versions that CI installs: all of them, exactly, and none that pyproject.toml or constraints.txt excludes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = sorted((Path(__file__).resolve().parents[1] / ".ci").glob("lock-*.txt"))


def versions(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.!]+", line) for line in lines), "exact, and by name only"
    return dict(line.split("==") for line in lines)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="pyproject.toml is read from Python 3.11 on")
@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_the_lock_has_all_that_is_asked_for(path: Path, root: Path, program: Callable[[str], ModuleType]) -> None:
    locked = versions(path.read_text())
    lock = program("scripts/lock.py")
    for wanted in lock.asked("dev", "tracking"):
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted
    named = [line for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    for wanted in map(Requirement, named):
        assert wanted.specifier.contains(locked[wanted.name]), wanted
    here = lock.closure(lock.asked("dev", "tracking"))
    if all(here.get(name, version) == version for name, version in locked.items()):  # as in CI
        assert set(here) <= set(locked), "run `make lock`"


def test_weaknesses_are_listed(program: Callable[[str], ModuleType]) -> None:
    audit = program("scripts/audit.py")
    weak = '{"id": "CVE-1", "fix_versions": ["2.0"]}'
    text = f'{{"dependencies": [{{"name": "a", "version": "1", "vulns": [{weak}]}}, {{"name": "b"}}]}}'
    assert audit.weaknesses(text) == ["  a 1: CVE-1, mended in 2.0"]
