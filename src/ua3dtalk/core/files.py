"""Writing that leaves nothing half-written behind."""

from __future__ import annotations

import hashlib
import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ua3dtalk.core.errors import UserError

ARCHIVE_ERRORS = (
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    SystemError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and its zip reader raise on a damaged ``.npz`` (found by fuzzing)."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to ``path`` on success and removed on failure.

    The temporary name keeps the suffix of ``path``, so that writers that choose a format by suffix work. The file gets
    the permissions of any new file, whatever the writer chose (safetensors makes private ones).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        partial.unlink()
        yield partial
        partial.chmod(mode)
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON (indented, keys in order given) in one atomic step."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist.", "Run the stage that writes it first.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        reason = str(error)[:200]
        raise UserError(f"{path} is not valid JSON ({reason}).", "Delete it and run the stage again.") from error


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
