"""Command lines in the docs and examples, understood by what would parse them; nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import tyro

from ua3dtalk.cli.main import Commands

ROOT = Path(__file__).resolve().parents[2]


def lines_of(code: str) -> Iterator[list[str]]:
    for line in code.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def understood(words: list[str]) -> None:
    """Parse one command line with what would parse it; nothing is run."""
    makefile, project = (ROOT / "Makefile").read_text(), (ROOT / "pyproject.toml").read_text()
    match words:
        case ["ua3dtalk", *rest]:
            tyro.cli(Commands, args=rest, prog="ua3dtalk", config=(tyro.conf.FlagCreatePairsOff,))  # type: ignore[arg-type]
        case ["make", *targets]:
            assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets), words
        case ["source", ".venv/bin/activate"] | ["git", "clone", _]:
            pass
        case ["cd", _] | ["set", "-euo", "pipefail"]:
            pass
        case ["pip", "install", what]:
            name, _, extra = what.rstrip("]").partition("[")
            assert name in ("ua3dtalk", ".") and re.search(rf"^{extra} = \[", project, re.M), words
        case ["python" | "bash", script, *_]:
            assert (ROOT / script).is_file(), words
        case _:
            pytest.fail(f"nobody knows whether this works: {shlex.join(words)}")
