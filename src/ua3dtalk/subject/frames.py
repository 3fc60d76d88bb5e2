"""Pictures of a subject folder: one file per frame, read lazily with a small cache."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from jaxtyping import UInt8

from ua3dtalk.core.errors import UserError

PNG = b"\x89PNG\r\n\x1a\n"


def read_picture(path: Path, channels: int) -> UInt8[np.ndarray, "h w *c"]:
    """Read a picture as it was stored: ``[H,W]`` for one channel, else ``[H,W,3]`` RGB or ``[H,W,4]`` RGBA.

    Raises:
        UserError: the file is missing, damaged, or of another number of channels.
    """
    picture = _decoded(path, cv2.IMREAD_UNCHANGED)
    found = 0 if picture is None else (1 if picture.ndim == 2 else picture.shape[2])
    if picture is None or found != channels or picture.dtype != np.uint8:
        raise UserError(f"{path} is damaged.", "Run `ua3dtalk prepare` again.")
    if channels == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
    if channels == 4:
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)  # type: ignore[return-value]
    return picture  # type: ignore[return-value]


def read_grey(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Brightness of a stored picture: the decoder skips its colours.

    Raises:
        UserError: the file is missing or damaged.
    """
    picture = _decoded(path, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise UserError(f"{path} is damaged.", "Run `ua3dtalk prepare` again.")
    return picture  # type: ignore[return-value]


def _decoded(path: Path, how: int) -> np.ndarray | None:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.", "Run `ua3dtalk prepare` again.") from error
    return cv2.imdecode(data, how) if data.size and _chunks_fit(data) else None


def _chunks_fit(data: UInt8[np.ndarray, " n"]) -> bool:
    """Whether no part of a PNG says that it is longer than the file: the decoder would reserve as much, up to 2 GiB."""
    if data[:8].tobytes() != PNG:
        return True
    at = 8
    while at + 8 <= len(data):
        at += 12 + int.from_bytes(data[at : at + 4].tobytes(), "big")
        if at > len(data):
            return False
    return True


class FrameFolder:
    """``folder/%06d.suffix``, read on demand.

    Args:
        folder: Where the pictures are.
        suffix: ``.jpg`` or ``.png``.
        channels: 1, 3 or 4.
        cache: How many decoded pictures to keep.
    """

    def __init__(self, folder: Path, suffix: str, channels: int, cache: int = 32) -> None:
        self._folder = folder
        self._suffix = suffix
        self._channels = channels
        self._size = cache
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def path(self, i: int) -> Path:
        """Path of picture ``i``."""
        return self._folder / f"{i:06d}{self._suffix}"

    def read(self, i: int) -> UInt8[np.ndarray, "h w *c"]:
        """Picture ``i``: a copy that the caller may change. Safe in threads, which may decode at the same time."""
        with self._lock:
            found = self._cache.get(i)
            if found is not None:
                self._cache.move_to_end(i)
        if found is None:
            found = read_picture(self.path(i), self._channels)
            with self._lock:
                self._cache[i] = found
                if len(self._cache) > self._size:
                    self._cache.popitem(last=False)
        return found.copy()
