"""The folder layout of TalkingGaussian, ER-NeRF and RAD-NeRF: where things are, and whether they fit together.

``transforms_train.json`` and ``transforms_val.json`` list the frames; pictures, masks and torso layers are files named
by the frame's number. Frames are 25 per second by definition. T frames.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256, read_json
from ua3dtalk.media.probe import FPS
from ua3dtalk.subject.frames import read_picture
from ua3dtalk.tracking.imported.action_units import read_action_units
from ua3dtalk.tracking.stage_picture import MIN_SECONDS

SPLITS = ("transforms_train.json", "transforms_val.json")
AGAIN = "Make it again with the tools that made the folder."
_KINDS = {"ori_imgs": (".jpg", 3), "parsing": (".png", 3), "torso_imgs": (".png", 4)}


@dataclass(frozen=True, kw_only=True)
class TalkingFolder:
    """A folder that was found complete. Frame ``i`` of the subject is number ``first + i`` of the folder."""

    folder: Path
    """Where it is."""
    first: int
    """Number of the first frame."""
    width: int
    """Width of the pictures, pixels."""
    height: int
    """Height of the pictures, pixels."""
    sound_start_s: float
    """Where in ``aud.wav`` the first frame's sound is, seconds."""
    focal: float
    """Focal length that their tracker chose, pixels."""
    cameras: Float64[np.ndarray, "t 4 4"]
    """Camera to head as stored (OpenGL axes, about metres of the mean face of BFM); NaN for frames without one."""
    action_units: dict[str, Float64[np.ndarray, " t"]]
    """Intensities 0..5 by name, e.g. ``AU45``; empty without ``au.csv``."""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.cameras)

    @property
    def sound(self) -> Path | None:
        """The sound, if there is one."""
        path = self.folder / "aud.wav"
        return path if path.is_file() else None

    def path(self, kind: str, i: int) -> Path:
        """File of frame ``i``: ``ori_imgs``, ``parsing`` or ``torso_imgs``."""
        return self.folder / kind / f"{self.first + i}{_KINDS[kind][0]}"

    def read(self, kind: str, i: int) -> UInt8[np.ndarray, "h w *c"]:
        """Picture of frame ``i``, RGB or RGBA.

        Raises:
            UserError: it is damaged, or of another size than the first picture.
        """
        return self.checked(self.path(kind, i), _KINDS[kind][1])

    def background(self) -> UInt8[np.ndarray, "h w 3"]:
        """What is behind the person, RGB.

        Raises:
            UserError: it is damaged, or of another size than the first picture.
        """
        return self.checked(self.folder / "bc.jpg", 3)

    def checked(self, path: Path, channels: int) -> UInt8[np.ndarray, "h w *c"]:
        """A picture of the right size and number of channels."""
        picture = _read(path, channels)
        height, width = picture.shape[:2]
        if (width, height) != (self.width, self.height):
            raise UserError(f"{path} is {width}x{height}, other pictures are {self.width}x{self.height}.", AGAIN)
        return picture

    def fingerprint(self) -> str:
        """SHA-256 over the lists, the action units, and name and size of every other file that is used."""
        digest = hashlib.sha256()
        for name in (*SPLITS, "au.csv"):
            if (self.folder / name).is_file():
                digest.update(f"{name} {file_sha256(self.folder / name)}\n".encode())
        files = [self.folder / "bc.jpg", self.folder / "aud.wav"]
        for i in range(self.num_frames):
            files += [self.path(kind, i) for kind in _KINDS]
        for path in files:
            if path.is_file():
                digest.update(f"{path.relative_to(self.folder)} {path.stat().st_size}\n".encode())
        return digest.hexdigest()


def read_layout(folder: Path) -> TalkingFolder:
    """Read the lists and check that everything that will be needed is there. ``track_params.pt`` is never opened.

    Raises:
        UserError: not such a folder, or something is missing or does not fit; names it, with the numbers.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder.", "Check the path.")
    lists = [_read_list(folder / name) for name in SPLITS]
    frames = [frame for plain in lists for frame in plain["frames"]]
    if not frames:
        raise UserError(f"{folder}: {' and '.join(SPLITS)} list no frames.", AGAIN)
    focal = {float(plain["focal_len"]) for plain in lists}
    if len(focal) > 1:
        raise UserError(f"{folder}: {' and '.join(SPLITS)} have different focal_len {sorted(focal)}.", AGAIN)
    numbers = [_number(frame, "img_id", folder) for frame in frames]
    if len(set(numbers)) < len(numbers):
        twice = next(n for n in numbers if numbers.count(n) > 1)
        raise UserError(f"{folder}: img_id {twice} is listed twice.", AGAIN)
    first, count = min(numbers), max(numbers) - min(numbers) + 1
    if count < MIN_SECONDS * FPS:
        raise UserError(f"{folder} holds {count} frames, at least {MIN_SECONDS * FPS:g} are needed.", "Import more.")
    if 2 * len(numbers) <= count:
        raise UserError(f"{folder}: only {len(numbers)} of the frames {first} to {max(numbers)} are listed.", AGAIN)
    for kind, (suffix, _) in _KINDS.items():
        _require(folder / kind, suffix, range(first, first + count))
    if not (folder / "bc.jpg").is_file():
        raise UserError(f"{folder} holds no bc.jpg.", AGAIN)
    cameras = np.full((count, 4, 4), np.nan)
    for number, frame in zip(numbers, frames, strict=True):
        cameras[number - first] = _camera(frame, folder)
    height, width = _read(folder / "ori_imgs" / f"{first}.jpg", 3).shape[:2]
    _check_centre(lists[0], width, height, folder)
    table = folder / "au.csv"
    units = read_action_units(table, len(_numbers(folder / "ori_imgs", ".jpg"))) if table.is_file() else {}
    return TalkingFolder(
        folder=folder,
        first=first,
        width=width,
        height=height,
        sound_start_s=_sound_start(frames, numbers, folder) / FPS,
        focal=focal.pop(),
        cameras=cameras,
        action_units={name: values[first : first + count] for name, values in units.items()},
    )


def _read(path: Path, channels: int) -> np.ndarray:
    try:
        return read_picture(path, channels)
    except UserError as error:
        kind = {3: "an RGB picture", 4: "a picture with transparency"}[channels]
        raise UserError(f"{path} cannot be read as {kind}.", AGAIN) from error


def _read_list(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path.parent} holds no {path.name}.", "Name the folder that their process.py wrote.")
    plain = read_json(path)
    if not isinstance(plain, dict) or not isinstance(plain.get("frames"), list):
        raise UserError(f"{path} lists no frames.", AGAIN)
    if not isinstance(plain.get("focal_len"), (int, float)) or not 0 < plain["focal_len"] < 1e6:
        raise UserError(f"{path}: focal_len is {plain.get('focal_len')!r}, a length in pixels is needed.", AGAIN)
    if not all(isinstance(frame, dict) for frame in plain["frames"]):
        raise UserError(f"{path} has frames that are no objects.", AGAIN)
    return plain


def _number(frame: dict[str, Any], key: str, folder: Path) -> int:
    value = frame.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UserError(f"{folder}: a frame has {key} {value!r}, a number from 0 is needed.", AGAIN)
    return value


def _camera(frame: dict[str, Any], folder: Path) -> np.ndarray:
    """Camera to head; refuses what is no rigid motion."""
    what = f"{folder}: transform_matrix of img_id {frame['img_id']}"
    try:
        matrix = np.array(frame.get("transform_matrix"), np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} is not a 4x4 matrix.", AGAIN) from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise UserError(f"{what} is not a 4x4 matrix.", AGAIN)
    turn = matrix[:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > 0.01 or np.linalg.det(turn) < 0:
        raise UserError(f"{what} is not a rotation with a translation.", AGAIN)
    return matrix


def _require(folder: Path, suffix: str, numbers: range) -> None:
    """Every number must have its file: a hole in time would slip the sound against the picture."""
    there = _numbers(folder, suffix)
    missing = len(numbers) - sum(n in numbers for n in there)
    if missing:
        listed = ", ".join(map(str, islice((n for n in numbers if n not in there), 5)))
        more = ", ..." if missing > 5 else ""
        raise UserError(
            f"{folder} lacks {missing} of {len(numbers)} pictures ({suffix}): {listed}{more}.",
            "Make them again, or take the frames on one side of the gap out of both lists.",
        )


def _numbers(folder: Path, suffix: str) -> set[int]:
    """Numbers of the pictures in a folder, by their names."""
    return {int(path.stem) for path in folder.glob(f"*{suffix}") if path.stem.isascii() and path.stem.isdecimal()}


def _check_centre(plain: dict[str, Any], width: int, height: int, folder: Path) -> None:
    """Their principal point is the middle of the picture, by which they know its size."""
    for key, size in (("cx", width), ("cy", height)):
        value = plain.get(key, size / 2)
        if not isinstance(value, (int, float)) or abs(value - size / 2) > 1:
            raise UserError(f"{folder}: {SPLITS[0]} has {key} {value!r}, but the pictures are {width}x{height}.", AGAIN)


def _sound_start(frames: list[dict[str, Any]], numbers: list[int], folder: Path) -> int:
    """``aud_id`` of the first frame; without one it is ``img_id``."""
    shifts = {
        (_number(frame, "aud_id", folder) if "aud_id" in frame else number) - number
        for frame, number in zip(frames, numbers, strict=True)
    }
    if len(shifts) > 1:
        raise UserError(
            f"{folder}: aud_id minus img_id is not the same for all frames ({min(shifts)} to {max(shifts)}).", AGAIN
        )
    return min(numbers) + shifts.pop()
