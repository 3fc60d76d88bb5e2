"""The head-aligned picture plane: every frame is mapped so that the head lies where it lies in a typical frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from ua3dtalk.tracking.projection import Poses, pixels_of
from ua3dtalk.tracking.topology import CHIN, FOREHEAD_TOP

MARGIN = 0.25
"""Width of the border around the frame that the aligned plane adds, over the frame's size."""


@dataclass(frozen=True)
class HeadPlane:
    """Similarities from the frames' pixels to the head-aligned plane."""

    matrices: Float64[np.ndarray, "t 2 3"]
    """Frame pixel to plane pixel, OpenCV pixel coordinates (centres at whole numbers)."""
    width: int
    """Plane width, pixels."""
    height: int
    """Plane height, pixels."""
    frame_size: tuple[int, int]
    """Frame width and height, pixels."""

    def to_plane(self, t: int, picture: np.ndarray) -> np.ndarray:
        """A picture of frame ``t`` in the plane."""
        return cv2.warpAffine(picture, self.matrices[t], (self.width, self.height), flags=cv2.INTER_LINEAR)

    def to_frame(self, t: int, picture: np.ndarray) -> np.ndarray:
        """A picture of the plane in frame ``t``; the border is repeated outwards."""
        return cv2.warpAffine(
            picture,
            self.matrices[t],
            self.frame_size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )


def align_heads(
    poses: Poses,
    shape: Float64[np.ndarray, "p 3"],
    focal: float,
    centre: Float64[np.ndarray, " 2"],
    size: tuple[int, int],
) -> HeadPlane:
    """Similarity of each frame's projected rigid points onto those of the median frame.

    Args:
        poses: Head poses.
        shape: Rigid points, head frame, metres.
        focal: Focal length, pixels.
        centre: Principal point, pixels.
        size: Frame width and height, pixels.
    """
    pixels = pixels_of(poses, shape, focal, centre) - 0.5
    typical = np.median(pixels, axis=0)
    width, height = size
    offset = np.array([round(MARGIN * width), round(MARGIN * height)])
    goal = typical + offset
    source = pixels - pixels.mean(1, keepdims=True)
    target = goal - goal.mean(0)
    # A rotation with scale is [[a, -b], [b, a]]; both have closed forms.
    norm = (source**2).sum((1, 2))
    a = (source * target).sum((1, 2)) / norm
    b = (source[..., 0] * target[:, 1] - source[..., 1] * target[:, 0]).sum(1) / norm
    turn = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
    shift = goal.mean(0) - np.einsum("tij,tj->ti", turn, pixels.mean(1))
    return HeadPlane(
        np.concatenate([turn, shift[..., None]], -1), width + 2 * int(offset[0]), height + 2 * int(offset[1]), size
    )


def face_coordinates(plane: HeadPlane, face: Float64[np.ndarray, "468 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the plane's pixels along and up the face, in face heights.

    Args:
        plane: The plane.
        face: The typical face's mesh in it, pixels.

    Returns:
        u, to the picture's right, and v, up: 0 in the middle, chin at v = −0.5, top of the forehead at 0.5.
    """
    top, chin = face[FOREHEAD_TOP], face[CHIN]
    height = float(np.linalg.norm(top - chin))
    up = (top - chin) / height
    ys, xs = np.mgrid[: plane.height, : plane.width].astype(np.float32)
    dx, dy = xs - (top[0] + chin[0]) / 2, ys - (top[1] + chin[1]) / 2
    u = (dx * -up[1] + dy * up[0]) / height
    v = (dx * up[0] + dy * up[1]) / height
    return u.astype(np.float32), v.astype(np.float32)
