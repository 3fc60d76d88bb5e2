"""Pictures of a prepared subject: what was found in some frames, the extremes, and the layers behind the head."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ua3dtalk.evaluation.pictures import encode_jpeg
from ua3dtalk.recipes.data_report.measure import Measured
from ua3dtalk.subject.labels import Label
from ua3dtalk.subject.store import Subject

TILE_PX = 320
OVERVIEW = 8
AXIS_M = 0.06
AXIS_COLOURS = ((230, 60, 60), (60, 190, 60), (70, 110, 255))
"""x to the subject's left, y up, z out of the face."""
MASK_COLOURS = {
    Label.TORSO: (255, 150, 40),
    Label.NECK: (255, 210, 90),
    Label.HAIR: (190, 90, 255),
    Label.SKIN: (90, 220, 120),
    Label.EYES: (90, 200, 255),
    Label.BROWS: (255, 255, 255),
    Label.LIPS: (255, 90, 140),
    Label.INNER_MOUTH: (255, 60, 60),
}
CHECKER_PX = 16

Shown = tuple[str, bytes]
"""Caption and JPEG."""


def overview(subject: Subject, found: Measured) -> list[Shown]:
    """Frames spread over the clip with masks, mesh and axes."""
    frames = np.unique(np.linspace(0, subject.num_frames - 1, OVERVIEW).round().astype(int)).tolist()
    return [(_when(i, found.start_s, found.fps), overlay(subject, found, i)) for i in frames]


def extremes(subject: Subject, found: Measured) -> list[Shown]:
    """The frames at the ends of yaw, opening, smile and lids: where tracking fails first."""
    known = np.flatnonzero(found.track.valid)
    yaw, opening = found.angles[known, 1], found.track.opening[known]
    ends = {
        f"most to the right, {yaw.min():+.0f}°": int(yaw.argmin()),
        f"most to the left, {yaw.max():+.0f}°": int(yaw.argmax()),
        "mouth widest open": int(opening.argmax()),
        "corners widest": int(found.signals["smile"][known].argmax()),
        "brows highest": int(found.signals["brows"][known].argmax()),
        "lids most shut": int(found.signals["lids"][known].argmin()),
    }
    return [
        (f"{name}, {_when(int(known[k]), found.start_s, found.fps)}", overlay(subject, found, int(known[k])))
        for name, k in ends.items()
    ]


def layers(subject: Subject) -> list[Shown]:
    """One frame's masks, the background plate, and that frame's torso on a chequered ground."""
    i = subject.num_frames // 2
    colours = np.zeros((len(Label), 3), np.uint8)
    for label, colour in MASK_COLOURS.items():
        colours[label] = colour
    mixed = (subject.frame(i) * 0.4 + colours[subject.parsing(i)] * 0.6).astype(np.uint8)
    return [
        ("masks", _tile(mixed)),
        ("background, filled behind the person", _tile(subject.background())),
        ("torso, filled behind the chin", _tile(on_checker(subject.torso(i)))),
    ]


def overlay(subject: Subject, found: Measured, i: int) -> bytes:
    """A frame with what was found in it, as JPEG."""
    frame, labels = subject.frame(i), subject.parsing(i)
    picture, scale = _tile_sized(frame)
    draw_masks(picture, cv2.resize(labels, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST))
    points = found.track.landmarks[i, ::3, :2] * scale
    for x, y in points.round().astype(int):
        cv2.circle(picture, (int(x), int(y)), 1, (255, 255, 0), -1)
    draw_axes(picture, found.track.viewmats[i], found.track.K * np.array([[scale], [scale], [1.0]]))
    return encode_jpeg(picture)


def draw_masks(picture: UInt8[np.ndarray, "h w 3"], labels: UInt8[np.ndarray, "h w"]) -> None:
    """Outline every label in its colour, in place."""
    for label, colour in MASK_COLOURS.items():
        rings, _ = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, rings, -1, colour, 1)


def draw_axes(
    picture: UInt8[np.ndarray, "h w 3"], viewmat: Float64[np.ndarray, "4 4"], K: Float64[np.ndarray, "3 3"]
) -> None:
    """Draw the head's axes from its middle, in place."""
    ends = np.concatenate([np.zeros((1, 3)), np.eye(3) * AXIS_M])
    ends[:, 2] += AXIS_M / 2  # begin in front of the face's plane
    seen = (ends @ viewmat[:3, :3].T + viewmat[:3, 3]) @ K.T
    origin, *tips = [(int(x), int(y)) for x, y in (seen[:, :2] / seen[:, 2:]).round()]
    for tip, colour in zip(tips, AXIS_COLOURS, strict=True):
        cv2.line(picture, origin, tip, colour, 2, cv2.LINE_AA)


def on_checker(layer: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """A transparent picture on a chequered ground."""
    y, x = np.indices(layer.shape[:2]) // CHECKER_PX
    ground = np.where((x + y) % 2 == 0, 205, 235)[..., None]
    alpha = layer[..., 3:].astype(np.float32) / 255
    return (layer[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def _tile(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    return encode_jpeg(_tile_sized(picture)[0])


def _tile_sized(picture: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h2 w2 3"], float]:
    """A picture at the size of a tile, and by how much it was scaled."""
    scale = TILE_PX / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8), scale


def _when(i: int, start_s: float, fps: float) -> str:
    return f"{start_s + i / fps:.1f} s"
