"""The rigid parts of the actor: eyeballs, teeth, tongue, ears, neck and torso."""

from __future__ import annotations

import numpy as np

from ua3dtalk.subject.actor.expressions import smoothstep
from ua3dtalk.subject.actor.mesh import Material, Mover, Piece, grid, linear_rgb
from ua3dtalk.subject.actor.skin import EYE_RADIUS_M, Skin
from ua3dtalk.subject.labels import Label


def _piece(rows: np.ndarray, closed: bool, colour: np.ndarray, kind: tuple[Material, Mover, Label]) -> Piece:
    vertices, triangles = grid(rows, closed)
    return Piece(
        vertices=vertices,
        triangles=triangles,
        colours=np.broadcast_to(colour, vertices.shape).copy(),
        material=kind[0],
        labels=np.full(len(triangles), int(kind[2])),
        mover=kind[1],
        # One sees the inside of the collar.
        cutout=np.full(len(triangles), -2) if kind[0] == Material.CLOTH else None,
    )


def eyeballs(skin: Skin, iris: np.ndarray) -> list[Piece]:
    """Two balls; iris and pupil are painted while shading, where the gaze points."""
    polar = np.linspace(np.pi, 0, 16)[:, None]
    around = np.linspace(0, 2 * np.pi, 28, endpoint=False)[None]
    ball = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar) * np.ones_like(around), np.sin(polar) * np.cos(around)], axis=2
    )
    kind = (Material.EYE, Mover.HEAD, Label.EYES)
    return [_piece(centre + EYE_RADIUS_M * ball, True, iris, kind) for centre in skin.eye_centres]


def _arch(half_width: float, depth: float, heights: np.ndarray, lean: np.ndarray) -> np.ndarray:
    """Rows of a dental arch: a parabola from molar to molar, one row per height."""
    x = np.linspace(-1, 1, 57)
    rows = []
    for height, back in zip(heights, lean, strict=True):
        bulge = 0.00035 * np.abs(np.cos(np.pi * x * 7)) if 0 < height < 1 else 0.0
        rows.append(
            np.stack([half_width * x * (1 - 0.1 * x**2), np.full_like(x, height), -depth * x**2 - back + bulge], 1)
        )
    return np.stack(rows)


def teeth(skin: Skin) -> list[Piece]:
    """Upper teeth on the skull, lower teeth on the jaw, each with gums."""
    mouth = 0.5 * (skin.vertices[13] + skin.vertices[14])
    heights = np.array([0.0, 0.25, 0.6, 0.95, 1.0, 1.6])
    lean = np.array([0.0012, 0.0, -0.0002, 0.0004, 0.0008, 0.0015])
    upper = _arch(0.0290, 0.030, heights, lean)
    upper[..., 1] = mouth[1] - 0.0014 + upper[..., 1] * 0.0086
    # The row of biting edges: front teeth a little longer than the ones beside them.
    upper[0, :, 1] += 0.0009 * np.abs(np.linspace(-1, 1, 57)) ** 1.5
    upper[..., 2] += mouth[2] - 0.0062
    lower = _arch(0.0235, 0.031, heights, lean)[::-1].copy()
    lower[..., 1] = mouth[1] - 0.0044 - lower[..., 1] * 0.0074
    lower[..., 2] += mouth[2] - 0.0104
    gum, enamel = linear_rgb(176, 92, 92), linear_rgb(250, 244, 232)
    pieces = []
    for rows, mover, is_gum in ((upper, Mover.HEAD, (4, 5)), (lower, Mover.JAW, (0, 1))):
        colour = np.broadcast_to(enamel, rows.shape).copy()
        gaps = np.abs(np.cos(np.pi * np.linspace(-1, 1, 57) * 7)) < 0.12
        colour[:, gaps] *= 0.72
        colour *= (1 - 0.55 * np.abs(np.linspace(-1, 1, 57)) ** 2.5)[None, :, None]
        colour[is_gum, :] = gum
        pieces.append(_piece(rows, False, colour.reshape(-1, 3), (Material.TEETH, mover, Label.INNER_MOUTH)))
    return pieces


def tongue(skin: Skin) -> Piece:
    """A soft flat ellipsoid on the floor of the mouth."""
    mouth = 0.5 * (skin.vertices[13] + skin.vertices[14])
    polar = np.linspace(np.pi, 0, 12)[:, None]
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)[None]
    ball = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar) * np.ones_like(around), np.sin(polar) * np.cos(around)], axis=2
    )
    ball = ball * [0.0175, 0.0045, 0.021]
    ball[..., 1] -= 0.0016 * np.exp(-((ball[..., 0] / 0.003) ** 2)) * (ball[..., 1] > 0)
    kind = (Material.MOUTH, Mover.TONGUE, Label.INNER_MOUTH)
    return _piece(ball + mouth + [0, -0.0062, -0.0285], True, linear_rgb(190, 92, 96), kind)


def ears(skin: Skin, colour: np.ndarray) -> list[Piece]:
    """Two ears: a tilted oval with a raised rim, a hollow and a lobe."""
    eyes = 0.5 * (skin.vertices[33] + skin.vertices[263])
    radius = np.concatenate([np.linspace(0, 0.9, 10), np.array([0.97, 1.02, 1.0, 0.93])])[:, None]
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)[None]
    up, back = np.cos(around), np.sin(around)  # 0 = top, quarter = back
    height = np.where(up > 0, 0.031, 0.030 + 0.002 * (back < 0))
    width = np.where(back > 0, 0.0185 - 0.004 * np.clip(-up, 0, 1), 0.010)
    rim = np.exp(-(((radius - 0.9) / 0.1) ** 2)) * (0.35 + 0.65 * smoothstep(0.8 + 1.2 * (up + 0.6 * back)))
    antihelix = np.exp(-(((radius - 0.58) / 0.11) ** 2)) * smoothstep(0.2 + back)
    hollow = np.exp(-((radius / 0.36) ** 2))
    lobe = np.exp(-(((radius - 0.75) / 0.25) ** 2)) * smoothstep((-up - 0.55) / 0.35)
    out = 0.0062 * rim + 0.0035 * antihelix - 0.0045 * hollow + 0.003 * lobe
    out = np.where(np.arange(len(radius))[:, None] >= 11, out - 0.004 * (np.arange(len(radius))[:, None] - 10), out)
    pieces = []
    for sign in (-1.0, 1.0):
        y, z = radius * up * height, -radius * back * width
        tilt = 0.16
        y, z = y * np.cos(tilt) - z * np.sin(tilt), y * np.sin(-tilt) + z * np.cos(tilt)
        flare = 0.26 * np.clip(-z + 0.008, 0, 1)  # the back stands off the head
        x = np.abs(skin.vertices[454, 0]) - 0.0030 + flare + out
        rows = np.stack([sign * x, eyes[1] - 0.026 + y, skin.vertices[454, 2] - 0.014 + z], axis=2)
        if sign > 0:
            rows = rows[:, ::-1]
        shade = 1 - 0.15 * np.broadcast_to(hollow + 0.25 * np.exp(-(((radius - 0.74) / 0.08) ** 2)), out.shape)
        tint = colour * np.array([1.02, 0.9, 0.88]) * shade[..., None]
        if sign > 0:
            tint = tint[:, ::-1]
        pieces.append(_piece(rows, True, tint.reshape(-1, 3), (Material.SKIN, Mover.HEAD, Label.SKIN)))
    return pieces


def neck(skin: Skin, colour: np.ndarray) -> Piece:
    """A tube from inside the head down into the collar, with a hint of the muscles and the throat."""
    chin, eyes = skin.vertices[152], 0.5 * (skin.vertices[33] + skin.vertices[263])
    around = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    rows = []
    for s in np.linspace(0, 1, 14):  # bottom to top
        y = chin[1] - 0.110 + s * 0.150
        rx = 0.0530 + 0.026 * (1 - s) ** 4
        rz = 0.054 + 0.008 * (1 - s) ** 3
        centre_z = eyes[2] - 0.108 + 0.014 * s
        x, z = rx * np.sin(around), rz * np.cos(around)
        throat = 0.004 * np.exp(-((x / 0.012) ** 2)) * np.exp(-(((s - 0.45) / 0.18) ** 2)) * (z > 0)
        cords = 0.0030 * np.exp(-(((np.abs(x) - (0.012 + 0.05 * s)) / 0.008) ** 2)) * (z > 0) * (1 - s)
        rows.append(np.stack([x, np.full_like(x, y), centre_z + z + throat + cords], axis=1))
    return _piece(np.stack(rows), True, colour, (Material.SKIN, Mover.NECK, Label.NECK))


def torso(skin: Skin, cloth: np.ndarray) -> list[Piece]:
    """Shoulders and chest in a round-necked jumper."""
    chin, eyes = skin.vertices[152], 0.5 * (skin.vertices[33] + skin.vertices[263])
    around = np.linspace(0, 2 * np.pi, 112, endpoint=False)
    sections = np.array(  # below the chin, half width, half depth, roundness, back
        [
            (0.330, 0.225, 0.120, 2.6, 0.000),
            (0.250, 0.222, 0.118, 2.6, 0.000),
            (0.190, 0.212, 0.110, 2.5, 0.004),
            (0.150, 0.196, 0.098, 2.4, 0.010),
            (0.125, 0.172, 0.088, 2.3, 0.014),
            (0.106, 0.138, 0.080, 2.2, 0.016),
            (0.090, 0.104, 0.078, 2.1, 0.012),
            (0.078, 0.081, 0.075, 2.0, 0.006),
            (0.070, 0.069, 0.073, 2.0, 0.003),
        ]
    )
    smooth = np.linspace(0, len(sections) - 1, 29)
    rows = []
    for position in smooth:
        drop, rx, rz, power, back = (np.interp(position, np.arange(len(sections)), sections[:, c]) for c in range(5))
        x = rx * np.sign(np.sin(around)) * np.abs(np.sin(around)) ** (2 / power)
        z = rz * np.sign(np.cos(around)) * np.abs(np.cos(around)) ** (2 / power)
        fold = 0.0016 * np.sin(around * 9 + 3 * np.sin(position * 1.3)) * np.clip(1 - position / 8, 0, 1)
        front_drop = 0.016 * np.clip(np.cos(around), 0, 1) * np.clip(position / 8, 0, 1)
        rows.append(np.stack([x, chin[1] - drop + 0.026 - front_drop, eyes[2] - 0.104 - back + z + fold], axis=1))
    body = _piece(np.stack(rows), True, cloth, (Material.CLOTH, Mover.TORSO, Label.TORSO))
    collar, last = [], np.stack(rows)[-1]
    outward = last - last.mean(0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    for angle in np.linspace(-0.9, 3.6, 10):
        ring = last + outward * (0.0060 * np.cos(angle) - 0.004) + [0, 0.0085 * np.sin(angle) + 0.003, 0]
        collar.append(ring)
    ribs = np.where(np.arange(112) % 2 == 0, 1.0, 0.86)[None, :, None] * cloth * 0.9
    ribbed = np.broadcast_to(ribs, (10, 112, 3)).reshape(-1, 3)
    return [body, _piece(np.stack(collar), True, ribbed, (Material.CLOTH, Mover.TORSO, Label.TORSO))]
