"""Blendshapes of the actor: what a unit of each expression does to every vertex, as smooth analytic fields."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from ua3dtalk.subject.actor.face import FaceSurface, is_below_mouth

EXPRESSIONS = (
    "jaw_open",
    "lip_pucker",
    "lip_wide",
    "lip_press",
    "upper_lip_raise",
    "lower_lip_drop",
    "lower_lip_tuck",
    "smile",
    "frown",
    "brow_inner_up",
    "brow_outer_up",
    "brow_lower",
    "blink",
    "squint",
    "lid_wide",
    "nose_wrinkle",
)
"""Order of the rows of the basis and of the columns of every expression track."""

JAW_ANGLE_RAD = 0.27


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def jaw_hinge(face: FaceSurface) -> Float[np.ndarray, 3]:
    """Middle of the axis that the jaw turns about, head frame, metres."""
    return np.array([0.0, face.vertices[33, 1] - 0.025, face.vertices[234, 2]])


class _Mouth:
    """Where the mouth is, and how far every vertex lies from it."""

    def __init__(self, face: FaceSurface) -> None:
        points = face.vertices
        self.points = points
        self.lower = is_below_mouth(face.plane, face.lips_inner)
        corners = points[face.lips_outer[[0, len(face.lips_outer) // 2]]]
        self.corners = corners
        self.half_width = 0.5 * (corners[1, 0] - corners[0, 0])
        self.line_y = corners[:, 1].mean()
        lip_points = np.concatenate([face.plane[face.lips_outer], face.plane[face.lips_inner]])
        distance = KDTree(lip_points).query(face.plane)[0]
        self.distance = np.where(distance < 0.0045, 0.0, distance - 0.0045)
        self.aside = np.abs(points[:, 0]) / self.half_width
        self.middle = np.clip(1 - self.aside**2, 0, 1)

    def near(self, sigma_m: float) -> np.ndarray:
        return np.exp(-((self.distance / sigma_m) ** 2))


def _bell(points: np.ndarray, centre: np.ndarray, sigma_m: float) -> np.ndarray:
    return np.exp(-(((points - centre) ** 2).sum(1)) / sigma_m**2)


def _jaw_weight(mouth: _Mouth) -> np.ndarray:
    """Share of the jaw's turn that a vertex takes: 1 on chin and lower lip, 0 above the mouth, soft over the cheeks."""
    beyond = np.maximum(np.abs(mouth.points[:, 0]) - mouth.half_width, 0)
    border = mouth.line_y + 0.55 * beyond
    smooth = smoothstep(0.5 + (border - mouth.points[:, 1]) / (0.026 + 0.9 * beyond))
    corner = np.clip(mouth.aside, 0, 1) ** 3
    return (1 - corner) * mouth.lower + corner * smooth


def _mouth_fields(face: FaceSurface) -> dict[str, np.ndarray]:
    mouth, points = _Mouth(face), face.vertices
    zero = np.zeros(len(points))
    x, lower, upper = points[:, 0], mouth.lower, ~mouth.lower
    lever = points - jaw_hinge(face)
    jaw = _jaw_weight(mouth)
    jaw_open = JAW_ANGLE_RAD * jaw[:, None] * np.stack([zero, -lever[:, 2], lever[:, 1] * 0.7], axis=1)
    # The corners give way a little while the jaw falls.
    jaw_open[:, 0] -= 0.05 * x * mouth.near(0.012)
    near, tight = mouth.near(0.018), mouth.near(0.007)
    pucker = np.stack([-0.40 * x * near, np.where(lower, -0.0008, 0.0008) * near, 0.0068 * near], axis=1)
    wide = np.stack([0.14 * x * near, zero, -0.0030 * np.clip(mouth.aside, 0, 1.3) ** 2 * near], axis=1)
    from_line = points[:, 1] - mouth.line_y
    press = np.stack([zero, (-0.30 * from_line + np.where(lower, 0.0005, -0.0005)) * tight, -0.0022 * tight], axis=1)
    lift = mouth.middle * mouth.near(0.014)
    raise_upper = np.stack([zero, 0.0042 * lift * upper, 0.0008 * lift * upper], axis=1)
    drop_lower = np.stack([zero, -0.0048 * lift * lower, 0.0006 * lift * lower], axis=1)
    tuck = np.stack([zero, 0.0013 * lift * lower, -0.0026 * lift * lower], axis=1)
    smile, frown = np.zeros_like(points), np.zeros_like(points)
    for sign, corner in zip((-1.0, 1.0), mouth.corners, strict=True):
        at_corner = _bell(points, corner, 0.021)[:, None]
        cheek = _bell(points, np.array([sign * 0.044, points[33, 1] - 0.040, points[50, 2]]), 0.019)[:, None]
        under_eye = _bell(points, np.array([sign * 0.034, points[33, 1] - 0.014, points[50, 2]]), 0.012)[:, None]
        smile += at_corner * np.array([sign * 0.0062, 0.0062, -0.0040]) + cheek * np.array(
            [sign * 0.001, 0.002, 0.0032]
        )
        smile += under_eye * np.array([0.0, 0.0012, 0.0004])
        frown += at_corner * np.array([sign * 0.0004, -0.0062, -0.0012])
    chin = _bell(points, points[199], 0.016)[:, None]
    frown += chin * np.array([0.0, 0.0012, 0.0016]) + (0.0010 * lift * lower)[:, None] * np.array([0.0, 1.0, 0.5])
    return {
        "jaw_open": jaw_open,
        "lip_pucker": pucker,
        "lip_wide": wide,
        "lip_press": press,
        "upper_lip_raise": raise_upper,
        "lower_lip_drop": drop_lower,
        "lower_lip_tuck": tuck,
        "smile": smile,
        "frown": frown,
    }


def _brow_fields(face: FaceSurface) -> dict[str, np.ndarray]:
    points = face.vertices
    fields = {name: np.zeros_like(points) for name in ("brow_inner_up", "brow_outer_up", "brow_lower", "nose_wrinkle")}
    for sign, inner, arch, outer, wing in ((-1.0, 107, 105, 70, 64), (1.0, 336, 334, 300, 294)):
        at_inner, at_arch = _bell(points, points[inner], 0.017)[:, None], _bell(points, points[arch], 0.017)[:, None]
        at_outer = _bell(points, points[outer], 0.016)[:, None]
        fields["brow_inner_up"] += at_inner * np.array([-sign * 0.0010, 0.0068, 0.0]) + at_arch * np.array(
            [0, 0.0016, 0]
        )
        fields["brow_outer_up"] += at_arch * np.array([0, 0.0054, 0]) + at_outer * np.array([0, 0.0036, 0])
        fields["brow_lower"] += at_inner * np.array([-sign * 0.0030, -0.0062, 0.0012])
        fields["brow_lower"] += at_arch * np.array([-sign * 0.0010, -0.0034, 0.0006])
        fields["nose_wrinkle"] += _bell(points, points[wing], 0.013)[:, None] * np.array([sign * 0.0006, 0.0026, 0.0])
    return fields


def _lid_fields(face: FaceSurface) -> dict[str, np.ndarray]:
    """Lids travel along the straight way between their borders; the eyeball pushes them out later (see skin.py)."""
    points, plane = face.vertices, face.plane
    fields = {name: np.zeros_like(points) for name in ("blink", "squint", "lid_wide")}
    for ring in face.eyes:
        half = len(ring) // 2
        lower, upper = ring[: half + 1], np.concatenate([ring[:1], ring[:half:-1], ring[half : half + 1]])
        gap = points[lower] - points[upper]
        order = np.argsort(plane[upper, 0])
        between = np.stack(
            [np.interp(plane[:, 0], plane[upper, 0][order], gap[order, a], 0, 0) for a in range(3)], axis=1
        )
        order_lower = np.argsort(plane[lower, 0])
        middle_y = 0.5 * (
            np.interp(plane[:, 0], plane[upper, 0][order], plane[upper, 1][order])
            + np.interp(plane[:, 0], plane[lower, 0][order_lower], plane[lower, 1][order_lower])
        )
        above = plane[:, 1] > middle_y
        above[upper[1:-1]], above[lower[1:-1]] = True, False
        distance = KDTree(plane[ring]).query(plane)[0]
        over, under = smoothstep(1 - distance / 0.0095) * above, smoothstep(1 - distance / 0.008) * ~above
        fields["blink"] += between * (0.90 * over - 0.10 * under)[:, None]
        fields["squint"] += between * (0.16 * over - 0.24 * under)[:, None]
        fields["lid_wide"] += between * (-0.20 * over)[:, None]
    return fields


def expression_basis(face: FaceSurface) -> Float[np.ndarray, "b v 3"]:
    """Displacement of every vertex for one unit of each of ``EXPRESSIONS``, metres. Weights go from 0 to 1."""
    fields = _mouth_fields(face) | _brow_fields(face) | _lid_fields(face)
    return np.stack([fields[name] for name in EXPRESSIONS])
