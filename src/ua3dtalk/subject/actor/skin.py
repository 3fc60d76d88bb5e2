"""The actor's skin as one mesh: the face, the rest of the head behind it, the lining of the mouth and of the lids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int

from ua3dtalk.subject.actor.expressions import expression_basis, jaw_hinge, smoothstep
from ua3dtalk.subject.actor.face import FaceSurface
from ua3dtalk.subject.actor.mesh import strip

EYE_RADIUS_M = 0.0124


@dataclass(frozen=True, kw_only=True)
class Skin:
    """Skin at rest and how it moves. V vertices; the first ones are the face's, the first 468 the landmarks."""

    vertices: Float[np.ndarray, "v 3"]
    """Rest positions, head frame, metres."""
    triangles: Int[np.ndarray, "f 3"]
    """Counter-clockwise seen from outside (from inside the mouth for its lining)."""
    basis: Float[np.ndarray, "b v 3"]
    """Displacements for one unit of each expression, metres."""
    depth: Float[np.ndarray, " v"]
    """0 on the face, up to 1 at the back of the mouth's lining, -1 on the lids' lining, -2 behind the face."""
    eye_centres: Float[np.ndarray, "2 3"]
    """Right and left eyeball."""
    near_eyes: Int[np.ndarray, " n"]
    """Vertices that an eyeball may push."""

    jaw_hinge: Float[np.ndarray, 3]
    """Middle of the axis that the jaw turns about."""

    def push_lids(self, points: np.ndarray) -> None:
        """Move lids that have sunk into an eyeball to its surface, in place."""
        _push_out(points, self.near_eyes[self.near_eyes < len(points)], self.eye_centres, EYE_RADIUS_M + 0.0005)


@numba.njit(cache=True)
@no_type_check
def _push_out(points, chosen, centres, radius):
    for v in chosen:
        for e in range(2):
            dx, dy, dz = points[v, 0] - centres[e, 0], points[v, 1] - centres[e, 1], points[v, 2] - centres[e, 2]
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            if length < radius and length > 1e-6:
                scale = radius / length
                points[v, 0] = centres[e, 0] + dx * scale
                points[v, 1] = centres[e, 1] + dy * scale
                points[v, 2] = centres[e, 2] + dz * scale


class _Builder:
    """Collects vertices that hang on a parent vertex of the face and share its motion by a factor."""

    def __init__(self, face: FaceSurface) -> None:
        self.points, self.parents = [face.vertices], [np.arange(len(face.vertices))]
        self.factors, self.depth = [np.ones(len(face.vertices))], [np.zeros(len(face.vertices))]
        self.triangles = [face.triangles]
        self.count = len(face.vertices)

    def add(self, points: np.ndarray, parents: np.ndarray, factor: np.ndarray | float, depth: float) -> np.ndarray:
        self.points.append(points)
        self.parents.append(parents)
        self.factors.append(np.broadcast_to(factor, len(points)).astype(float))
        self.depth.append(np.full(len(points), depth))
        self.count += len(points)
        return np.arange(self.count - len(points), self.count)


def head_ellipsoid(face: FaceSurface) -> tuple[np.ndarray, np.ndarray]:
    """Centre and radii of the skull, metres."""
    eyes = 0.5 * (face.vertices[33] + face.vertices[263])
    half_width = 0.5 * (face.vertices[454, 0] - face.vertices[234, 0])
    front = face.vertices[10, 2] + 0.004
    centre = np.array([0.0, eyes[1] + 0.020, front - 0.097])
    return centre, np.array([half_width + 0.001, 0.096, 0.100])


def _close_back(builder: _Builder, face: FaceSurface, rings: int = 12) -> None:
    """From the outline of the face around the skull to a pole at the back."""
    centre, radii = head_ellipsoid(face)
    ring = face.oval
    start = (face.vertices[ring] - centre) / radii
    length = np.linalg.norm(start, axis=1)
    direction = start / length[:, None]
    pole = np.array([0.0, -0.15, -1.0])
    pole /= np.linalg.norm(pole)
    angle = np.arccos(np.clip(direction @ pole, -1, 1))[:, None]
    previous = ring
    for k in range(1, rings + 1):
        s = (k / rings) ** 1.15
        turned = (np.sin((1 - s) * angle) * direction + np.sin(s * angle) * pole) / np.sin(angle)
        # Keep the outline's own distance at first, then settle on the skull.
        reach = 1 + (length - 1) * (1 - smoothstep(s / 0.75))
        points = centre + turned * reach[:, None] * radii
        numbers = builder.add(points, ring, float((1 - s) ** 3), -2.0)
        builder.triangles.append(strip(previous, numbers, closed=True))
        previous = numbers


def _line_mouth(builder: _Builder, face: FaceSurface) -> None:
    """The inner side of the lips and a dark bag behind them."""
    ring = face.lips_inner
    start = face.vertices[ring]
    middle = start.mean(0)
    below = np.sin(2 * np.pi * np.arange(len(ring)) / len(ring))  # 1 in the middle of the lower lip, -1 of the upper
    previous = ring
    rows = ((0.0022, 0.0004, 1.0, 1.0), (0.0060, 0.0022, 1.0, 1.08), (0.0130, 0.007, 0.95, 1.2))
    rows += ((0.0260, 0.011, 0.8, 1.15), (0.0420, 0.009, 0.6, 0.7))
    for number, (back, swell, factor, narrow) in enumerate(rows, start=1):
        points = start.copy()
        points[:, 0] *= narrow
        points[:, 1] -= swell * below
        points[:, 2] = points[:, 2] * (1 - 0.18 * number) + middle[2] * 0.18 * number - back
        numbers = builder.add(points, ring, factor, number / 6)
        builder.triangles.append(strip(previous, numbers, closed=True))
        previous = numbers
    centre = builder.add((middle - [0, 0, 0.046])[None], ring[:1], 0.3, 1.0)
    builder.triangles.append(strip(previous, np.repeat(centre, len(ring)), closed=True)[: len(ring)])


def _line_lids(builder: _Builder, face: FaceSurface, centres: np.ndarray) -> None:
    """A thin moist rim that leads from the lids to the eyeball."""
    for number, (ring, centre) in enumerate(zip(face.eyes, centres, strict=True)):
        start = face.vertices[ring]
        inward = centre - start
        inward /= np.linalg.norm(inward, axis=1, keepdims=True)
        previous = ring
        for fraction in (0.5, 1.0):
            on_ball = centre - inward * EYE_RADIUS_M * 0.985
            points = start * (1 - fraction) + (on_ball + inward * 0.0008) * fraction
            numbers = builder.add(points, ring, 1.0, -1.0)
            pair = strip(previous, numbers, closed=True)
            builder.triangles.append(pair if number == 0 else pair[:, ::-1])
            previous = numbers


def eye_centres(face: FaceSurface) -> Float[np.ndarray, "2 3"]:
    """Centres of the eyeballs: the lids' middle lies just in front of the ball."""
    centres = []
    for ring in face.eyes:
        points = face.vertices[ring]
        quarter = len(ring) // 4
        lower, upper = points[quarter], points[3 * quarter]
        middle = 0.5 * (lower + upper)
        half_gap = 0.5 * np.linalg.norm(upper - lower)
        depth = np.sqrt(EYE_RADIUS_M**2 - half_gap**2) + 0.0004
        centres.append([0.5 * (points[:, 0].min() + points[:, 0].max()), middle[1], middle[2] - depth])
    return np.array(centres)


def build_skin(face: FaceSurface) -> Skin:
    """Skin mesh of the actor."""
    builder = _Builder(face)
    centres = eye_centres(face)
    _close_back(builder, face)
    _line_mouth(builder, face)
    _line_lids(builder, face, centres)
    vertices = np.concatenate(builder.points)
    parents, factors = np.concatenate(builder.parents), np.concatenate(builder.factors)
    basis = expression_basis(face)[:, parents] * factors[None, :, None]
    depth = np.concatenate(builder.depth)
    near = (np.linalg.norm(vertices[:, None] - centres[None], axis=2).min(1) < 0.024) & (depth == 0)
    return Skin(
        vertices=vertices,
        triangles=np.concatenate(builder.triangles),
        basis=basis,
        depth=depth,
        eye_centres=centres,
        near_eyes=np.flatnonzero(near),
        jaw_hinge=jaw_hinge(face),
    )
