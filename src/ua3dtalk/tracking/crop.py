"""Finding the speaker in the whole picture and the one box that holds the head for the whole clip (DESIGN §5.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks

ROOM_ABOVE, ROOM_BELOW, ROOM_ASIDE = 0.75, 0.95, 0.7
"""Room around the face for hair, shoulders and hair, in face heights."""
KEEP_WHOLE = 0.7
"""A square picture is kept whole if the box would be at least this share of it."""
MIN_FACE_PX = 48
"""Smallest face height that can be tracked, source pixels."""


@dataclass(frozen=True, kw_only=True)
class CropBox:
    """A square part of the source picture."""

    left: int
    """Left border, source pixels."""
    top: int
    """Top border, source pixels."""
    width: int
    """Width, source pixels."""
    height: int
    """Height, source pixels."""
    out_width: int
    """Width of the stored frames."""
    out_height: int
    """Height of the stored frames."""
    source_width: int
    """Width of the whole source picture."""
    source_height: int
    """Height of the whole source picture."""

    def apply(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The box of a frame, resized."""
        part = frame[self.top : self.top + self.height, self.left : self.left + self.width]
        if part.shape[:2] == (self.out_height, self.out_width):
            return np.ascontiguousarray(part)
        smaller = part.shape[0] > self.out_height
        return cv2.resize(
            part, (self.out_width, self.out_height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        )

    @property
    def scale(self) -> float:
        """Stored pixels per source pixel."""
        return self.out_width / self.width

    @property
    def source_side(self) -> float:
        """The longer side of the whole source picture, in stored pixels."""
        return max(self.source_width, self.source_height) * self.scale

    @property
    def principal_point(self) -> tuple[float, float]:
        """The middle of the whole source picture, in stored pixels: where the optical axis is, most likely."""
        return (self.source_width / 2 - self.left) * self.scale, (self.source_height / 2 - self.top) * self.scale


@dataclass(frozen=True)
class Speaker:
    """The face to follow."""

    boxes: Float[np.ndarray, "n 4"]
    """Left, top, right, bottom of its mesh in the samples in which it was seen, source pixels."""
    num_samples: int
    """Samples looked at."""
    num_faces: int
    """Different faces seen in at least a fifth of the samples, this one included."""


class FaceFinder:
    """Finds faces of any size in single pictures: the whole picture first, then tiles of it. A context manager."""

    def __init__(self) -> None:
        self._model = FaceMeshLandmarks(static=True, max_faces=4)

    def find(self, frame: UInt8[np.ndarray, "h w 3"]) -> list[np.ndarray]:
        """Boxes (left, top, right, bottom) of the faces in a picture, pixels."""
        for tiles in (1, 2, 3):
            boxes = [box for tile in _tiles(frame.shape[:2], tiles) for box in self._find_in(frame, tile)]
            if boxes:
                return _distinct(boxes)
        return []

    def _find_in(self, frame: np.ndarray, tile: tuple[int, int, int, int]) -> list[np.ndarray]:
        left, top, right, bottom = tile
        part = np.ascontiguousarray(frame[top:bottom, left:right])
        scale = min(1.0, 640 / max(part.shape[:2]))
        if scale < 1:
            part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = []
        for points in self._model.detect_all(part):
            xy = points[:, :2] / scale + [left, top]
            found.append(np.concatenate([xy.min(0), xy.max(0)]))
        return found

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _tiles(shape: tuple[int, ...], count: int) -> list[tuple[int, int, int, int]]:
    """Overlapping tiles: ``count`` along each side, each 1.4 times as long as its share."""
    height, width = shape[:2]
    if count == 1:
        return [(0, 0, width, height)]
    side_x, side_y = round(width / count * 1.4), round(height / count * 1.4)
    xs = np.linspace(0, width - side_x, count).round().astype(int)
    ys = np.linspace(0, height - side_y, count).round().astype(int)
    return [(int(x), int(y), int(x) + side_x, int(y) + side_y) for y in ys for x in xs]


def _distinct(boxes: list[np.ndarray]) -> list[np.ndarray]:
    """Boxes without those whose middle lies in a larger one already kept (tiles overlap)."""
    kept: list[np.ndarray] = []
    for box in sorted(boxes, key=lambda b: -float(np.prod(b[2:] - b[:2]))):
        middle = (box[:2] + box[2:]) / 2
        if not any((middle > k[:2]).all() and (middle < k[2:]).all() for k in kept):
            kept.append(box)
    return kept


def scan_for_speaker(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]], every: int
) -> tuple[Speaker | None, tuple[int, int]]:
    """Look for the speaker in some frames of a video.

    Args:
        frames: All frames.
        every: Look at one of so many.

    Returns:
        ``find_speaker`` of what was seen; height and width of the frames.
    """
    shape = (0, 0)

    def samples() -> Iterator[list[np.ndarray]]:
        nonlocal shape
        for i, frame in enumerate(frames):
            if i % every == 0:
                shape = frame.shape[:2]
                yield finder.find(frame)

    with FaceFinder() as finder:
        speaker = find_speaker(samples())
    return speaker, shape


def find_speaker(samples: Iterable[list[np.ndarray]]) -> Speaker | None:
    """The largest face that is there most of the time; None if there is no face.

    Args:
        samples: Boxes found in each sampled frame.
    """
    tracks: list[list[np.ndarray]] = []
    count = 0
    for boxes in samples:
        count += 1
        for box in boxes:
            near = [track for track in tracks if _same_face(track[-1], box)]
            if near:
                max(near, key=len).append(box)
            else:
                tracks.append([box])
    if not tracks:
        return None
    areas = [float(np.median([np.prod(b[2:] - b[:2]) for b in track])) for track in tracks]
    best = int(np.argmax([len(track) * area for track, area in zip(tracks, areas, strict=True)]))
    return Speaker(np.array(tracks[best]), count, sum(len(t) >= max(1, count / 5) for t in tracks))


def speaker_of_all(videos: Sequence[Speaker]) -> Speaker:
    """One speaker seen in several videos: each counts the same, however long it is."""
    most = max(len(one.boxes) for one in videos)
    boxes = np.concatenate([np.resize(one.boxes, (most, 4)) for one in videos])
    return Speaker(boxes, sum(one.num_samples for one in videos), max(one.num_faces for one in videos))


def _same_face(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two boxes can be of one face: nearer than the smaller one is large."""
    apart = float(np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2))
    return apart < min(float((a[2:] - a[:2]).max()), float((b[2:] - b[:2]).max()))


def choose_box(speaker: Speaker, width: int, height: int, size: int) -> CropBox:
    """The box for the whole clip.

    Args:
        speaker: Where the face is.
        width: Source width, pixels.
        height: Source height, pixels.
        size: Largest side of the stored frames, pixels; they are never larger than the source.

    Raises:
        UserError: the face is too small to be tracked.
    """
    face = float(np.median(speaker.boxes[:, 3] - speaker.boxes[:, 1]))
    if face < MIN_FACE_PX:
        raise UserError(
            f"The face is {face:.0f} pixels high, at least {MIN_FACE_PX} are needed.", "Film it from nearer by."
        )
    left, top = np.percentile(speaker.boxes[:, :2], 3, axis=0) - face * np.array([ROOM_ASIDE, ROOM_ABOVE])
    right, bottom = np.percentile(speaker.boxes[:, 2:], 97, axis=0) + face * np.array([ROOM_ASIDE, ROOM_BELOW])
    side = round(min(max(right - left, bottom - top), width, height))
    if width == height and side >= KEEP_WHOLE * width:
        side = width
    side -= side % 2
    x = round(float(np.clip((left + right) / 2 - side / 2, 0, width - side)))
    y = round(float(np.clip((top + bottom) / 2 - side / 2, 0, height - side)))
    out = min(side, size)
    out -= out % 2
    return CropBox(
        left=x, top=y, width=side, height=side, out_width=out, out_height=out, source_width=width, source_height=height
    )
