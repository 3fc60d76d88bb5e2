"""Pieces of the actor and how they are joined to one mesh."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Int


class Material(IntEnum):
    """How a triangle is shaded."""

    SKIN = 0
    EYE = 1
    TEETH = 2
    MOUTH = 3
    HAIR = 4
    CLOTH = 5


class Mover(IntEnum):
    """What a vertex moves with."""

    HEAD = 0
    """Rigid with the head."""
    FACE = 1
    """Head plus expression."""
    JAW = 2
    """Rigid with the lower jaw."""
    TONGUE = 3
    """Jaw plus the tongue's own lift."""
    NECK = 4
    """Between head and torso."""
    TORSO = 5
    """Rigid with the torso."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of the actor. V vertices, F triangles."""

    vertices: Float[np.ndarray, "v 3"]
    """Rest positions, head frame, metres."""
    triangles: Int[np.ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    colours: Float[np.ndarray, "v 3"]
    """Linear albedo."""
    material: Material
    """How it is shaded."""
    labels: Int[np.ndarray, " f"]
    """Parsing label of each triangle."""
    mover: Mover
    """What it moves with."""
    cutout: Int[np.ndarray, " f"] | None = None
    """Seed of the card that a triangle belongs to; None for solid pieces."""
    uv: Float[np.ndarray, "v 2"] | None = None
    """Across and along a card of hair."""
    tangents: Float[np.ndarray, "v 3"] | None = None
    """Direction of the hair."""
    normals: Float[np.ndarray, "v 3"] | None = None
    """Normals to use instead of the mesh's own."""


def strip(first: np.ndarray, second: np.ndarray, closed: bool) -> Int[np.ndarray, "f 3"]:
    """Triangles between two rows of vertices; seen from the front, ``first`` runs to the right below ``second``."""
    a, b = (first, second) if not closed else (np.append(first, first[0]), np.append(second, second[0]))
    one = np.stack([a[:-1], a[1:], b[:-1]], axis=1)
    two = np.stack([b[:-1], a[1:], b[1:]], axis=1)
    return np.concatenate([one, two]).astype(np.int64)


def grid(rows: Float[np.ndarray, "r c 3"], closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """A surface through rows of points, each above the one before. Returns: vertices [r c, 3], triangles."""
    count, columns = rows.shape[:2]
    numbers = np.arange(count * columns).reshape(count, columns)
    triangles = [strip(numbers[k], numbers[k + 1], closed) for k in range(count - 1)]
    return rows.reshape(-1, 3), np.concatenate(triangles)


def linear_rgb(red: int, green: int, blue: int) -> Float[np.ndarray, 3]:
    """Linear albedo of an 8-bit sRGB colour."""
    return (np.array([red, green, blue]) / 255) ** 2.2
