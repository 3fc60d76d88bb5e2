"""Hair: a dark cap on the skull and layers of curved cards of strands; brows and lashes are small cards on the skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ua3dtalk.subject.actor.expressions import smoothstep
from ua3dtalk.subject.actor.face import FaceSurface
from ua3dtalk.subject.actor.mesh import Material, Mover, Piece, grid, strip
from ua3dtalk.subject.actor.skin import head_ellipsoid
from ua3dtalk.subject.labels import Label


@dataclass(frozen=True, kw_only=True)
class _Scalp:
    """The skull as a sphere of directions. Longitude 0 looks forward, latitude 90° up."""

    centre: np.ndarray
    radii: np.ndarray

    def point(self, latitude: np.ndarray, longitude: np.ndarray, lift_m: np.ndarray | float) -> np.ndarray:
        direction = np.stack(
            [np.cos(latitude) * np.sin(longitude), np.sin(latitude), np.cos(latitude) * np.cos(longitude)], axis=-1
        )
        normal = direction / self.radii
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        return self.centre + direction * self.radii + normal * np.asarray(lift_m)[..., None]


def _hairline(longitude: np.ndarray) -> np.ndarray:
    """Lowest latitude with hair: forehead, temples, above and behind the ears, nape (radians)."""
    side = np.abs(np.degrees(longitude))
    knots = np.array([0, 25, 42, 55, 66, 76, 88, 100, 112, 130, 180])
    latitude = np.array([36, 35, 30, 20, 6, -4, 2, -2, -22, -34, -38])
    return np.radians(np.interp(side, knots, latitude))


def _cap(scalp: _Scalp, colour: np.ndarray) -> Piece:
    longitude = np.linspace(-np.pi, np.pi, 96, endpoint=False)
    line = _hairline(longitude)
    rows = [
        scalp.point(
            line + np.radians(2.5) + (np.pi / 2 - line - np.radians(2.5)) * s,
            longitude,
            0.0012 + 0.009 * smoothstep(s / 0.35),
        )
        for s in np.linspace(0, 0.995, 20)
    ]
    vertices, triangles = grid(np.stack(rows), closed=True)
    return Piece(
        vertices=vertices,
        triangles=triangles,
        colours=np.broadcast_to(colour * 0.6, vertices.shape).copy(),
        material=Material.HAIR,
        labels=np.full(len(triangles), int(Label.HAIR)),
        mover=Mover.HEAD,
        uv=np.tile(np.array([0.5, 0.3]), (len(vertices), 1)),
        tangents=np.broadcast_to(np.array([0.0, -0.3, -0.95]), vertices.shape).copy(),
    )


def card_fields(
    paths: np.ndarray, across: np.ndarray, colours: np.ndarray, seeds: np.ndarray, label: Label, mover: Mover
) -> dict[str, Any]:
    """Fields of a ``Piece`` of cards from centre lines [n, k, 3], half-width vectors [n, k, 3] and a seed per card."""
    n, k, _ = paths.shape
    vertices = np.stack([paths - across, paths + across], axis=2)  # [n, k, 2, 3]
    numbers = np.arange(n * k * 2).reshape(n, k, 2)
    triangles = np.concatenate([strip(numbers[c, :, 1], numbers[c, :, 0], closed=False) for c in range(n)])
    along = np.gradient(paths, axis=1)
    along /= np.linalg.norm(along, axis=2, keepdims=True) + 1e-12
    v = np.broadcast_to(np.linspace(0, 1, k)[None, :, None], (n, k, 2))
    u = np.broadcast_to(np.array([0.0, 0.9999]), (n, k, 2))
    return {
        "vertices": vertices.reshape(-1, 3),
        "triangles": triangles,
        "colours": np.repeat(colours, k * 2, axis=0),
        "material": Material.HAIR,
        "labels": np.full(len(triangles), int(label)),
        "mover": mover,
        "cutout": np.repeat(seeds, 2 * (k - 1)),
        "uv": np.stack([u, v], axis=3).reshape(-1, 2),
        "tangents": np.repeat(along, 2, axis=1).reshape(-1, 3),
    }


def scalp_hair(face: FaceSurface, colour: np.ndarray, generator: np.random.Generator, cards: int = 400) -> list[Piece]:
    """Side-parted hair, brushed back over the ears with volume on top.

    Args:
        face: Where the head is.
        colour: Linear albedo.
        generator: Source of the strands' variety.
        cards: How many cards; each carries a dozen visible strands.
    """
    centre, radii = head_ellipsoid(face)
    scalp = _Scalp(centre=centre, radii=radii)
    part = np.radians(24.0)  # the parting, on the subject's left
    # The back of the head is never seen: the cap is enough there.
    longitude = generator.uniform(-2.4, 2.4, cards)
    line = _hairline(longitude)
    height = generator.random(cards) ** 1.35
    # Many cards start on the hairline itself: they are what one sees from the front.
    front = np.arange(cards) < cards * 0.42
    longitude[front] = generator.uniform(-1.75, 1.75, front.sum())
    line = _hairline(longitude)
    height[front] = generator.uniform(-0.03, 0.09, front.sum())
    latitude = line + (np.radians(88) - line) * height
    steps = np.linspace(0, 1, 10)
    root = scalp.point(latitude, longitude, 0.002)
    # Where a card goes: away from the parting, back and down.
    side = np.sign(root[:, 0] - np.sin(part) * 0.05)
    length = np.where(front, generator.uniform(0.085, 0.125, cards), generator.uniform(0.06, 0.11, cards))
    top = np.clip((root[:, 1] - centre[1]) / radii[1], -0.4, 1)
    paths = np.empty((cards, len(steps), 3))
    position = root - centre
    frontness = np.clip((root[:, 2] - centre[2]) / radii[2], 0, 1)
    volume = 0.006 + 0.020 * np.clip(top, 0, 1) * generator.uniform(0.55, 1.0, cards)
    for number, s in enumerate(steps):
        normal = position / radii**2
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        wish = np.stack(
            [0.75 * side * (0.25 + np.clip(top, 0, 1)), 0.35 * frontness - 0.75 * s - 0.1, -1.0 + 0 * top], axis=1
        )
        wish += generator.normal(0, 0.10, 3) * 0
        flow = wish - (wish * normal).sum(1, keepdims=True) * normal
        flow /= np.linalg.norm(flow, axis=1, keepdims=True)
        lift = volume * np.sin(np.pi * (0.12 + 0.75 * s)) ** 0.8 + 0.0015
        on_skull = position / np.linalg.norm(position / radii, axis=1, keepdims=True)
        paths[:, number] = centre + on_skull + normal * lift[:, None]
        position = on_skull + flow * (length / (len(steps) - 1))[:, None]
    normals = (paths - centre) / radii**2
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    along = np.gradient(paths, axis=1)
    sideways = np.cross(normals, along)
    sideways /= np.linalg.norm(sideways, axis=2, keepdims=True) + 1e-12
    wave = 0.0022 * np.sin(2.6 * np.pi * steps[None] + generator.uniform(0, 6.28, (cards, 1))) * steps[None]
    paths = paths + sideways * wave[..., None]
    width = generator.uniform(0.0040, 0.0080, (cards, 1)) * (1 - 0.45 * steps[None] ** 2)
    shade = colour * generator.uniform(0.70, 1.30, (cards, 1)) * (1 + generator.normal(0, 0.05, (cards, 3)))
    roll = generator.normal(0, 0.25, (cards, 1, 1))
    across = (sideways * np.cos(roll) + normals * np.sin(roll)) * width[..., None]
    seeds = generator.integers(1, 1 << 20, cards)
    fields = card_fields(paths, across, np.clip(shade, 0, 1), seeds, Label.HAIR, Mover.HEAD)
    fields["normals"] = np.repeat(normals, 2, axis=1).reshape(-1, 3)
    return [_cap(scalp, colour), Piece(**fields)]
