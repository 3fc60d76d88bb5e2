"""Whether records of finished stages are as ``Subject.finish_stage`` writes them: ``subject.json`` may be hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_RECORD = ("settings", "files", "folders", "facts")


def are_records(stages: Any) -> bool:
    """Whether these are records of stages, by file names that stay in the folder."""
    if not isinstance(stages, dict):
        return False
    for record in stages.values():
        if not isinstance(record, dict) or not all(isinstance(record.get(key), dict) for key in _RECORD):
            return False
        sums = record["files"].values()
        if not all(isinstance(s, dict) and "bytes" in s and "sha256" in s for s in sums):
            return False
        if not all(_stays(name) for name in (*record["files"], *record["folders"])):
            return False
    return True


def _stays(name: str) -> bool:
    path = Path(name)
    return 0 < len(name) < 200 and name.isprintable() and not path.is_absolute() and ".." not in path.parts
