"""Weights of other people's networks: files that the user brings, by path or in one folder. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ua3dtalk.core.errors import UserError

FOLDER_VARIABLE = "UA3DTALK_WEIGHTS"
"""Environment variable that names the folder."""
DEFAULT_FOLDER = "~/.cache/ua3dtalk/weights"


def weights_folder() -> Path:
    """Where weights are looked for: ``$UA3DTALK_WEIGHTS``, else ``~/.cache/ua3dtalk/weights``."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER).expanduser()


def find_weights(name: str, given: Path | None = None) -> Path | None:
    """The file to load.

    Args:
        name: File name to look for in ``weights_folder()``, e.g. ``lpips_alex.safetensors``.
        given: Path that the user named; then only that counts.

    Returns:
        Path of the file; None where none was named and the folder has none.

    Raises:
        UserError: the path that the user named is no file.
    """
    if given is not None:
        if not given.is_file():
            raise UserError(f"{given} is not a file.", f"Give the path of the weights, such as {name}.")
        return given
    path = weights_folder() / name
    return path if path.is_file() else None


def where_to_put(name: str, origin: str) -> str:
    """The sentences of a metric that has no weights: what is missing, where it belongs, how to get it.

    Args:
        name: File name that ``find_weights`` looks for.
        origin: How to get the file; a sentence without its full stop.
    """
    return f"No weights: give the path of {name}, or put it into ${FOLDER_VARIABLE} or {DEFAULT_FOLDER}. {origin}."


def load_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a plain safetensors file, by name, on the CPU. Nothing is unpickled.

    Raises:
        UserError: missing, damaged, or not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as safetensors ({error}).",
            "If it is a PyTorch file, convert it with scripts/convert_weights.py; else get another copy.",
        ) from error
