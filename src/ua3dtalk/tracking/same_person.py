"""Whether several videos show one person: the texture of the face, laid flat by its mesh, compared between them.

No recogniser of faces comes with the package, and gross mistakes are found without. On 40 clips and halves of clips of
19 people, pairs of one person reach .92 in the median and .54 at least (joy against tears), of two people .43 in the
median and .63 at most: three strangers in four are noticed, and nobody is taken for a stranger.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from ua3dtalk.tracking.topology import mean_face

SIDE = 96
"""Of the flat face, pixels."""
DETAIL_PX = 3.0
"""What is smaller than this is the person's, what is larger the light's."""
LEAST_CONTRAST = 3.0
ALIKE = 0.48
"""Correlation of the two most alike frames below which two videos show two people."""
FRAMES = 12
"""Frames of each video that are compared with those of the others."""


@cache
def _flat_face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of the flat face: corners of its triangle [S, S, 3], their shares [S, S, 3], and if it has one."""
    vertices, triangles = mean_face().vertices, mean_face().triangles
    low, high = vertices[:, :2].min(0), vertices[:, :2].max(0)
    flat = (vertices[:, :2] - low) / (high - low).max() * (SIDE - 4) + 2
    flat[:, 1] = SIDE - flat[:, 1]
    pixels = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2) + 0.5
    nearest = np.full(len(pixels), -np.inf)
    corners, shares = np.zeros((len(pixels), 3), np.int64), np.zeros((len(pixels), 3))
    for triangle in triangles:
        basis = np.concatenate([flat[triangle].T, np.ones((1, 3))])
        if abs(np.linalg.det(basis)) < 1e-6:
            continue
        share = np.linalg.solve(basis, np.concatenate([pixels.T, np.ones((1, len(pixels)))])).T
        depth = share @ vertices[triangle, 2]
        seen = (share > -1e-6).all(1) & (depth > nearest)
        nearest[seen], corners[seen], shares[seen] = depth[seen], triangle, share[seen]
    shape = (SIDE, SIDE, 3)
    inside = cv2.erode(np.isfinite(nearest).reshape(SIDE, SIDE).astype(np.uint8), np.ones((5, 5))) > 0
    return corners.reshape(shape), shares.reshape(shape), inside


def face_texture(frame: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "_ 3"]) -> Float32[np.ndarray, " n"]:
    """The face's texture without its light, pose and expression; a vector of mean 0 and length 1.

    Args:
        frame: RGB.
        landmarks: Of the face in it, pixels (centres at +0.5); at least the 468 of the mesh.
    """
    corners, shares, inside = _flat_face()
    x, y = np.moveaxis((landmarks[corners, :2] * shares[..., None]).sum(2) - 0.5, -1, 0).astype(np.float32)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    flat = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    known = inside.astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(known, (0, 0), DETAIL_PX), 1e-3)
    detail = (flat - cv2.GaussianBlur(flat * known, (0, 0), DETAIL_PX) / weight) * known
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), DETAIL_PX) / weight)
    vector = (detail / (contrast + LEAST_CONTRAST))[inside]
    vector = vector - vector.mean()
    return (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)


def likeness(a: Float32[np.ndarray, "k n"], b: Float32[np.ndarray, "l n"]) -> float:
    """Correlation of the two most alike of the textures of two videos."""
    return float((a @ b.T).max())


def stranger(videos: Sequence[Float32[np.ndarray, "_ n"]]) -> tuple[int, float] | None:
    """The video least like any other, and how alike they are; None where every one is like another."""
    best = [max(likeness(a, b) for j, b in enumerate(videos) if i != j) for i, a in enumerate(videos)]
    least = int(np.argmin(best))
    return (least, best[least]) if best[least] < ALIKE else None


def frames_to_compare(valid: Bool[np.ndarray, " t"], video: range) -> list[int]:
    """Frames spread over those of a video in which the face was found."""
    found = [i for i in video if valid[i]]
    return [found[k] for k in np.unique(np.linspace(0, len(found) - 1, FRAMES).round().astype(int))]
