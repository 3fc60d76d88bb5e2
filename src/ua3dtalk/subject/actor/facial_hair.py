"""Brows and lashes: small cards that hang on the skin and move with it."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from ua3dtalk.subject.actor.appearance import brow_polygon
from ua3dtalk.subject.actor.face import FaceSurface, inside_polygon
from ua3dtalk.subject.actor.hair import card_fields
from ua3dtalk.subject.actor.landmark_rings import LEFT_BROW, RIGHT_BROW
from ua3dtalk.subject.actor.mesh import Material, Mover, Piece
from ua3dtalk.subject.actor.skin import Skin
from ua3dtalk.subject.labels import Label


def _on_face(face: FaceSurface, plane_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest vertices and inverse-distance weights. Returns: numbers [n, 4], weights [n, 4]."""
    distance, numbers = KDTree(face.plane).query(plane_points, k=4)
    weights = 1 / (distance + 1e-5) ** 2
    return np.asarray(numbers), weights / weights.sum(1, keepdims=True)


def brows(
    face: FaceSurface, skin: Skin, colour: np.ndarray, generator: np.random.Generator
) -> tuple[Piece, np.ndarray]:
    """Two brows of about 130 hairs each. Returns: the piece and its expression basis [B, V, 3]."""
    roots, tips = [], []
    for brow, sign in ((RIGHT_BROW, -1.0), (LEFT_BROW, 1.0)):
        polygon = brow_polygon(face, brow)
        low, high = polygon.min(0), polygon.max(0)
        points = generator.uniform(low, high, (1500, 2))
        points = points[inside_polygon(points, polygon)][:190]
        outward = np.clip((sign * points[:, 0] - np.abs(polygon[:, 0]).min()) / np.ptp(polygon[:, 0]), 0, 1)
        upward = 0.95 - 1.15 * outward + generator.normal(0, 0.12, len(points))
        heading = np.stack([sign * np.ones(len(points)), upward], axis=1)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        roots.append(points)
        tips.append(
            points + heading * generator.uniform(0.0045, 0.0075, (len(points), 1)) * (1 - 0.3 * outward[:, None])
        )
    root, tip = np.concatenate(roots), np.concatenate(tips)
    steps = np.linspace(0, 1, 4)
    plane = root[:, None] + (tip - root)[:, None] * steps[None, :, None]
    count = len(root)
    numbers, weights = _on_face(face, plane.reshape(-1, 2))
    paths = (skin.vertices[numbers] * weights[..., None]).sum(1).reshape(count, 4, 3)
    paths[..., 2] += 0.0008 + 0.0007 * np.sin(np.pi * steps)
    along = np.gradient(paths, axis=1)
    across = np.cross(along, np.array([0.0, 0.0, 1.0]))
    across /= np.linalg.norm(across, axis=2, keepdims=True)
    across *= (0.00046 * (1 - 0.6 * steps))[None, :, None]
    shade = colour * generator.uniform(0.6, 1.15, (count, 1))
    fields = card_fields(paths, across, shade, np.full(count, -2), Label.BROWS, Mover.FACE)
    doubled = np.repeat(np.arange(len(numbers)), 2)
    basis = np.einsum("bvkc,vk->bvc", skin.basis[:, numbers[doubled]], weights[doubled])
    return Piece(**fields), basis


def lashes(face: FaceSurface, skin: Skin, colour: np.ndarray) -> tuple[Piece, np.ndarray]:
    """Upper and fainter lower lashes. Returns: the piece and its expression basis [B, V, 3]."""
    pieces, parents = [], []
    for sign, ring in zip((-1.0, 1.0), face.eyes, strict=True):
        half = len(ring) // 2
        upper = np.concatenate([ring[half + 2 :], ring[:1]])
        lower = ring[2 : half - 2]
        for row, reach, rise in ((upper, 0.0062, 0.42), (lower, 0.0022, -0.5)):
            start = skin.vertices[row]
            sideways = np.linspace(0.0, 1.0, len(row)) if rise > 0 else np.linspace(1.0, 0.0, len(row))
            heading = np.stack(
                [sign * 0.55 * (sideways - 0.25), np.full(len(row), rise), np.full(len(row), 0.8)], axis=1
            )
            heading /= np.linalg.norm(heading, axis=1, keepdims=True)
            size = reach * np.sin(np.pi * (0.12 + 0.76 * np.linspace(0, 1, len(row)))) ** 0.5 * (0.7 + 0.3 * sideways)
            middle, end = start + heading * size[:, None] * 0.5, start + heading * size[:, None]
            middle[:, 1] -= 0.0004 * np.sign(rise)
            pieces.append(np.stack([start + np.array([0, 0, 0.0003]), middle, end], axis=1))
            parents.append(row)
    points, faces, hang, offset = [], [], [], 0
    for rows, row in zip(pieces, parents, strict=True):
        numbers = offset + np.arange(len(row) * 3).reshape(len(row), 3)
        for k in range(2):
            a, b = numbers[:, k], numbers[:, k + 1]
            faces += [np.stack([a[:-1], a[1:], b[:-1]], 1), np.stack([b[:-1], a[1:], b[1:]], 1)]
        points.append(rows.reshape(-1, 3))
        hang.append(np.repeat(row, 3))
        offset += len(row) * 3
    vertices, triangles = np.concatenate(points), np.concatenate(faces)
    parent = np.concatenate(hang)
    run = np.tile(np.array([0.0, 0.55, 1.0]), len(vertices) // 3)
    spread = np.arange(len(vertices)) // 3 * 0.21
    piece = Piece(
        vertices=vertices,
        triangles=triangles,
        colours=np.broadcast_to(colour * 0.25, vertices.shape).copy(),
        material=Material.HAIR,
        labels=np.full(len(triangles), int(Label.EYES)),
        mover=Mover.FACE,
        cutout=np.full(len(triangles), -2),
        uv=np.stack([spread, run], axis=1),
        tangents=np.broadcast_to(np.array([0.0, 0.4, 0.9]), vertices.shape).copy(),
        normals=np.broadcast_to(np.array([0.0, 0.0, 1.0]), vertices.shape).copy(),
    )
    return piece, skin.basis[:, parent]
