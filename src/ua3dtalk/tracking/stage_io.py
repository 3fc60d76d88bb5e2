"""Writing a stage's output whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path

JPEG_QUALITY = 98


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces ``folder`` on success and is removed on failure."""
    partial, old = (folder.with_name(f".{folder.name}.{what}") for what in ("partial", "old"))
    for left in (partial, old):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():  # away in one step: deleted in its place, it would be half there for a moment
            folder.rename(old)
        partial.rename(folder)
    finally:
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)


def encode_picture(picture: UInt8[np.ndarray, "h w *c"], suffix: str) -> bytes:
    """A picture as the bytes of a ``.jpg`` (RGB, no colour subsampling) or ``.png`` (grey, RGB or RGBA) file."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    if suffix == ".jpg":
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            JPEG_QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
    else:
        options = []  # OpenCV's own choice: another level brings filters that cost two times the time and save nothing
    _, data = cv2.imencode(suffix, picture, options)
    return data.tobytes()


def write_picture(path: Path, picture: UInt8[np.ndarray, "h w *c"]) -> None:
    """Write a picture; its suffix says how.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    try:
        path.write_bytes(encode_picture(picture, path.suffix))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).", "Free some space on the disk.") from error


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an ``.npz`` in one atomic step."""
    with atomic_path(path) as partial:
        np.savez(partial, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read an ``.npz`` whole."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
