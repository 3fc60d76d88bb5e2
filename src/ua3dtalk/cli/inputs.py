"""Checks of paths before anything heavy is imported or anything is written."""

from __future__ import annotations

import os
from pathlib import Path

from ua3dtalk.core.errors import UserError


def existing_file(path: Path, what: str) -> Path:
    """The path of a file that can be read.

    Args:
        path: As the user gave it.
        what: What the file is to the command, e.g. ``"the video"``; the message begins with it.

    Raises:
        UserError: there is no such file, it is a folder, it is empty or may not be read.
    """
    if path.is_dir():
        raise UserError(f"{what} {path} is a folder.", "Name a file.")
    if not path.exists():
        raise UserError(f"{what} {path} does not exist.", "Check the path.")
    if not os.access(path, os.R_OK):
        raise UserError(f"{what} {path} may not be read.", "Change its permissions.")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{what} {path} is empty.", "Check how it was written.")
    return path


def existing_folder(path: Path, what: str, marker: str, made_by: str) -> Path:
    """The path of a folder that an earlier stage made.

    Args:
        path: As the user gave it.
        what: What the folder is, e.g. ``"the subject"``.
        marker: The file that such a folder always holds.
        made_by: The command that makes one.

    Raises:
        UserError: there is no such folder, or it holds no ``marker``.
    """
    if not path.is_dir():
        raise UserError(f"{what} {path} is not a folder.", f"Make one with `ua3dtalk {made_by}`.")
    if not (path / marker).is_file():
        raise UserError(f"{what} {path} holds no {marker}.", f"Make it with `ua3dtalk {made_by}`.")
    return path


def output_file(path: Path, suffix: str, option: str) -> Path:
    """The path of a file to write: the right suffix, not a folder, in a place that can be written.

    Raises:
        UserError: it cannot be written there.
    """
    if path.suffix.lower() != suffix:
        raise UserError(f"{option} {path} must end with {suffix}.", f"For example: {path.with_suffix(suffix)}.")
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder.", "Name a file.")
    _writable(path.parent, option)
    return path


def output_folder(path: Path, option: str) -> Path:
    """The path of a folder to write or to go on with.

    Raises:
        UserError: there is a file of that name, or it cannot be written there.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{option} {path} is a file.", "Name a folder.")
    _writable(path, option)
    return path


def _writable(folder: Path, option: str) -> None:
    """The nearest existing ancestor must be a folder that we may write into."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{option}: {there} cannot be written.", "Choose another place.")
