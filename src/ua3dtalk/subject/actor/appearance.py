"""Colour of the skin, and how much light reaches every vertex."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from ua3dtalk.subject.actor.expressions import smoothstep
from ua3dtalk.subject.actor.face import FaceSurface, inside_polygon
from ua3dtalk.subject.actor.landmark_rings import LEFT_BROW, RIGHT_BROW
from ua3dtalk.subject.actor.raster import rasterize
from ua3dtalk.subject.actor.skin import Skin


def soft_inside(points: np.ndarray, polygon: np.ndarray, blur_m: float) -> np.ndarray:
    """1 inside a polygon of the plane, 0 outside, with a soft border."""
    dense = np.concatenate([polygon + (np.roll(polygon, -1, axis=0) - polygon) * s for s in np.linspace(0, 1, 8)])
    distance = KDTree(dense).query(points)[0]
    signed = np.where(inside_polygon(points, polygon), distance, -distance)
    return smoothstep(0.5 + signed / (2 * blur_m))


def brow_polygon(face: FaceSurface, brow: tuple[tuple[int, ...], tuple[int, ...]]) -> np.ndarray:
    """Outline of a brow on the plane."""
    return np.concatenate([face.plane[list(brow[0])], face.plane[list(brow[1])][::-1]])


def _smooth_noise(
    points: np.ndarray, wavelength_m: float, generator: np.random.Generator, waves: int = 24
) -> np.ndarray:
    directions = generator.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    phases = generator.uniform(0, 2 * np.pi, waves)
    return np.cos(2 * np.pi * points @ directions.T / wavelength_m + phases).mean(1) * np.sqrt(waves / 2)


def skin_colours(
    face: FaceSurface, skin: Skin, tone: np.ndarray, lips: np.ndarray, hair: np.ndarray, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, " v"]]:
    """Linear albedo and gloss of every vertex of the skin."""
    points = skin.vertices
    count = len(face.vertices)
    colour = np.broadcast_to(tone, points.shape).copy()
    gloss = np.full(len(points), 0.10)

    def blend(weight: np.ndarray, target: np.ndarray) -> None:
        colour[:] = colour * (1 - weight[:, None]) + target * weight[:, None]

    def bell(centre: np.ndarray, sigma: float) -> np.ndarray:
        return np.exp(-((points - centre) ** 2).sum(1) / sigma**2)

    red = tone * np.array([1.06, 0.70, 0.68])
    for cheek in (50, 280):
        blend(0.55 * bell(points[cheek], 0.024), red)
    blend(0.45 * bell(points[1], 0.014), red)
    blend(0.25 * bell(points[199], 0.018), red)
    for lid, under in ((159, 230), (386, 450)):
        blend(0.30 * bell(points[lid] + [0, 0.004, 0], 0.012), tone * np.array([0.88, 0.68, 0.66]))
        blend(0.22 * bell(points[under], 0.011), tone * np.array([0.84, 0.72, 0.76]))
    for alar, sign in ((98, -1), (327, 1)):
        nostril = 0.5 * (points[alar] + points[2]) + [sign * 0.0005, 0.0012, 0.0020]
        blend(0.85 * bell(nostril, 0.0040), tone * np.array([0.16, 0.07, 0.06]))
    gloss += 0.05 * bell(points[1], 0.012) + 0.03 * bell(points[9], 0.03)
    lip = np.zeros(len(points))
    lip[:count] = soft_inside(face.plane, face.plane[face.lips_outer], 0.0011)
    lip[count:] = (skin.depth[count:] > 0) & (skin.depth[count:] < 0.4)
    blend(lip, lips)
    gloss += 0.14 * lip
    dark = np.clip(skin.depth, 0, 1)
    colour *= (1 - 0.94 * smoothstep(dark / 0.6))[:, None]
    for brow in (RIGHT_BROW, LEFT_BROW):
        tint = np.zeros(len(points))
        tint[:count] = soft_inside(face.plane, brow_polygon(face, brow), 0.0022)
        blend(0.30 * tint, hair * 0.8 + tone * 0.1)
    rim = skin.depth < -0.5
    lining = rim & (skin.depth > -1.5)
    colour[lining] = tone * np.array([0.80, 0.50, 0.48])
    gloss[lining] = 0.4
    blotches = 1 + 0.028 * _smooth_noise(points, 0.022, generator) + 0.020 * _smooth_noise(points, 0.006, generator)
    colour *= (blotches * (1 + generator.normal(0, 0.012, len(points))))[:, None]
    colour[:, 1:] *= (1 + 0.02 * _smooth_noise(points, 0.03, generator))[:, None]
    freckles = generator.choice(np.flatnonzero((points[:count, 2] > points[234, 2] + 0.02) & (lip[:count] < 0.01)), 26)
    colour[freckles] *= np.array([0.80, 0.70, 0.66])
    return np.clip(colour, 0.002, 0.98), gloss


def _visible(points: np.ndarray, direction: np.ndarray, mesh: tuple, bias: np.ndarray, size: int = 256) -> np.ndarray:
    """Whether each point is seen from far away along ``direction``."""
    triangles, cutout, uv = mesh
    helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    up = np.cross(direction, right)
    centre = points.mean(0)
    scale = size / 0.62
    local = points - centre
    screen = np.stack(
        [size / 2 + scale * local @ right, size / 2 - scale * local @ up, 20.0 - local @ direction], axis=1
    )
    screen = screen.astype(np.float32)
    nearness, owner = np.empty((size, size), np.float32), np.empty((size, size), np.int32)
    rasterize(screen, triangles, cutout, uv, nearness, owner, np.empty((size, size, 2), np.float32))
    x = np.clip(screen[:, 0].astype(int), 0, size - 1)
    y = np.clip(screen[:, 1].astype(int), 0, size - 1)
    return screen[:, 2] < 1 / np.maximum(nearness[y, x], 1e-6) + bias


def bake_light(
    points: Float[np.ndarray, "v 3"], normals: np.ndarray, mesh: tuple, key: np.ndarray, bias: np.ndarray
) -> tuple[Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """How open every vertex is to the surroundings, and how much of the (broad) key light reaches it, both 0..1.

    Depth maps from many directions stand in for ray casting.

    Args:
        points: Positions, metres.
        normals: Unit normals.
        mesh: Triangles [F, 3] int32, cutout [F] int32, uv [V, 2] float32 (see ``raster.rasterize``).
        key: Unit direction towards the key light.
        bias: Depth within which a vertex does not hide itself, metres, per vertex.
    """
    golden = np.pi * (3 - np.sqrt(5))
    number = np.arange(48)
    height = 1 - 2 * (number + 0.5) / len(number)
    ring = np.sqrt(1 - height**2)
    directions = np.stack([ring * np.cos(golden * number), height, ring * np.sin(golden * number)], axis=1)
    seen, total = np.zeros(len(points)), np.full(len(points), 1e-6)
    for direction in directions[directions[:, 2] > -0.75]:
        weight = np.maximum(normals @ direction, 0.0)
        total += weight
        seen += weight * _visible(points, direction, mesh, bias)
    arrives = np.zeros(len(points))
    for turn in range(14):
        offset = 0.20 * np.sqrt((turn + 0.5) / 14) * np.array([np.cos(golden * turn), np.sin(golden * turn), 0])
        direction = key + offset
        arrives += _visible(points, direction / np.linalg.norm(direction), mesh, bias) / 14
    return seen / total, arrives
