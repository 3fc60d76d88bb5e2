"""The actor's face as a smooth dense surface through the 468 points of the mean face.

The points are unrolled to a plane (with the mouth opened, so that the two lips lie apart), the plane is sampled
densely and triangulated, and a thin-plate spline carries every sample back to space. The topology is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline, RBFInterpolator
from scipy.spatial import Delaunay, KDTree

from ua3dtalk.subject.actor.landmark_rings import LEFT_EYE, LIP_RINGS, OVAL, RIGHT_EYE

_UNROLL_RADIUS_M = 0.1
_MOUTH_GAP_M = 0.016


@dataclass(frozen=True, kw_only=True)
class FaceSurface:
    """The dense face at rest, mouth closed. V vertices; the first 468 are the landmarks."""

    vertices: Float[np.ndarray, "v 3"]
    """Positions, head frame, metres."""
    plane: Float[np.ndarray, "v 2"]
    """Where each vertex lies on the unrolled plane, metres, mouth opened."""
    triangles: Int[np.ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    oval: Int[np.ndarray, " o"]
    """Ordered vertex indices of the outline."""
    lips_outer: Int[np.ndarray, " l"]
    """Ordered vertex indices of the outer border of the lips."""
    lips_inner: Int[np.ndarray, " l"]
    """Ordered vertex indices of the inner border of the lips; starts at the right corner, lower lip first."""
    eyes: tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"]]
    """Ordered vertex indices of the right and left eye contour; start at the outer corner, lower lid first."""


def inside_polygon(points: Float[np.ndarray, "n 2"], polygon: Float[np.ndarray, "k 2"]) -> np.ndarray:
    """Even-odd test. Returns: bool [n]."""
    x, y = points[:, :1], points[:, 1:]
    a, b = polygon[None], np.roll(polygon, -1, axis=0)[None]
    crosses = (a[..., 1] > y) != (b[..., 1] > y)
    slope = (y - a[..., 1]) / np.where(crosses, b[..., 1] - a[..., 1], 1.0)
    return (crosses & (x < a[..., 0] + slope * (b[..., 0] - a[..., 0]))).sum(1) % 2 == 1


def _unroll(points: np.ndarray) -> np.ndarray:
    """Azimuthal-equidistant map seen from inside the head, with the lips pulled apart. Returns: [468, 2]."""
    eyes = 0.5 * (points[33] + points[263])
    rays = points - (eyes + np.array([0.0, -0.033, -0.082]))
    theta = np.arccos(rays[:, 2] / np.linalg.norm(rays, axis=1))
    around = np.arctan2(rays[:, 1], rays[:, 0])
    plane = _UNROLL_RADIUS_M * theta[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1)
    outer = plane[list(LIP_RINGS[0])]
    line_y = 0.5 * (outer[0, 1] + outer[10, 1])
    half_width = 0.5 * (outer[10, 0] - outer[0, 0])
    lower = plane[:, 1] < line_y
    for ring in LIP_RINGS:
        lower[list(ring[1:10])] = True
        lower[[*ring[10:], ring[0]]] = False
    # What lies below the mouth moves down by the gap; towards the corners and over the cheeks the step turns soft.
    corner = np.clip(np.abs(plane[:, 0]) / half_width, 0, 1) ** 3
    beyond = np.maximum(np.abs(plane[:, 0]) - half_width, 0)
    soft = np.clip(0.5 + (line_y - plane[:, 1]) / (0.030 + beyond), 0, 1)
    soft = soft * soft * (3 - 2 * soft)
    plane[:, 1] -= _MOUTH_GAP_M * ((1 - corner) * lower + corner * soft) * np.exp(-((beyond / 0.035) ** 2))
    outer = plane[list(LIP_RINGS[0])]
    centre = np.array([0.0, 0.5 * (outer[5, 1] + outer[15, 1])])
    for depth, ring in enumerate(LIP_RINGS[1:], start=1):
        shrink = 1 - np.array([0.14, 0.5]) * depth / 3
        plane[list(ring)] = centre + (outer - centre) * shrink
    return plane


def _closed_curve(plane: np.ndarray, ring: tuple[int, ...], per_segment: int) -> np.ndarray:
    """Samples between the landmarks of a ring. Returns: [len(ring), per_segment - 1, 2]."""
    knots = np.vstack([plane[list(ring)], plane[ring[0]]])
    spline = CubicSpline(np.arange(len(ring) + 1), knots, bc_type="periodic")
    fraction = np.arange(1, per_segment) / per_segment
    return spline(np.arange(len(ring))[:, None] + fraction[None])


def _hexagonal(spacing: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A mirror-symmetric hexagonal grid."""
    rows = np.arange(low[1], high[1], spacing * 0.866)
    half = np.arange(0.0, high[0], spacing)
    points = []
    for number, y in enumerate(rows):
        x = half + (spacing / 2 if number % 2 else 0.0)
        x = np.concatenate([-x[x > 0][::-1], x])
        points.append(np.stack([x, np.full(len(x), y)], axis=1))
    return np.concatenate(points)


def _sample_plane(plane: np.ndarray, curves: np.ndarray, oval: np.ndarray, spacing: float) -> np.ndarray:
    """Grid points inside the oval: coarse everywhere, finer around eyes and mouth, none too near a given point."""
    fine_parts = [list(LIP_RINGS[0]), list(RIGHT_EYE), list(LEFT_EYE)]
    low, high = plane.min(0), plane.max(0)
    coarse, fine = _hexagonal(spacing, low, high), _hexagonal(spacing * 0.6, low, high)

    def in_fine(points: np.ndarray) -> np.ndarray:
        inside = np.zeros(len(points), bool)
        for part in fine_parts:
            box_low, box_high = plane[part].min(0) - 0.006, plane[part].max(0) + 0.006
            inside |= ((points > box_low) & (points < box_high)).all(1)
        return inside

    points = np.concatenate([coarse[~in_fine(coarse)], fine[in_fine(fine)]])
    points = points[inside_polygon(points, oval)]
    distance, _ = KDTree(np.concatenate([plane, curves])).query(points)
    return points[distance > np.where(in_fine(points), 0.36, 0.6) * spacing]


def _close_mouth(vertices: np.ndarray, plane: np.ndarray, inner: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Bring the two inner lip borders together.

    The lips move by the gap exactly; the skin around follows a smooth bell so that no crease runs up from the corners.
    """
    count = len(inner) // 2
    below, above = inner[: count + 1], np.concatenate([inner[:1], inner[: count - 1 : -1]])
    gap = vertices[above] - vertices[below]
    x = vertices[:, 0]
    half_width = vertices[below, 0].max()
    smooth = gap[np.argmin(np.abs(vertices[below, 0]))] * np.clip(1 - (x[:, None] / half_width) ** 2, 0, 1) ** 1.5
    order = np.argsort(vertices[below, 0])
    exact = np.stack([np.interp(x, vertices[below, 0][order], gap[order, axis]) for axis in range(3)], axis=1)
    distance = KDTree(plane[inner]).query(plane)[0][:, None]
    shift = smooth * np.exp(-((distance / 0.022) ** 2)) + (exact - smooth) * np.exp(-((distance / 0.003) ** 2))
    return vertices + np.where(lower[:, None], 0.62, -0.38) * shift


def build_face(mean_face: Float[np.ndarray, "468 3"], spacing_m: float = 0.0023) -> FaceSurface:
    """Dense, smooth, closed-mouth face through the mean face.

    Args:
        mean_face: Landmarks in the head frame, metres.
        spacing_m: Sample spacing; around eyes and mouth it is 0.6 of that.
    """
    plane = _unroll(mean_face.astype(np.float64))
    rings = {"oval": (OVAL, 3), "outer": (LIP_RINGS[0], 3), "inner": (LIP_RINGS[3], 3)}
    rings |= {"right": (RIGHT_EYE, 3), "left": (LEFT_EYE, 3)}
    samples, index, start = [], {}, len(plane)
    for name, (ring, per_segment) in rings.items():
        between = _closed_curve(plane, ring, per_segment)
        numbers = start + np.arange(between.shape[0] * between.shape[1]).reshape(between.shape[:2])
        index[name] = np.concatenate([np.asarray(ring)[:, None], numbers], axis=1).reshape(-1)
        samples.append(between.reshape(-1, 2))
        start += numbers.size
    curves = np.concatenate(samples)
    known = np.concatenate([plane, curves])
    points = np.concatenate([known, _sample_plane(plane, curves, known[index["oval"]], spacing_m)])
    spline = RBFInterpolator(plane, mean_face.astype(np.float64), kernel="thin_plate_spline", smoothing=1e-8)
    vertices = spline(points)
    triangles = Delaunay(points).simplices
    centres = points[triangles].mean(1)
    keep = inside_polygon(centres, points[index["oval"]])
    for hole in ("inner", "right", "left"):
        keep &= ~inside_polygon(centres, points[index[hole]])
    triangles = triangles[keep]
    edges = points[triangles[:, 1:]] - points[triangles[:, :1]]
    turned = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0] < 0
    triangles[turned] = triangles[turned][:, ::-1]
    inner = index["inner"]
    lower = is_below_mouth(points, inner)
    vertices = _close_mouth(vertices, points, inner, lower)
    return FaceSurface(
        vertices=vertices,
        plane=points,
        triangles=triangles.astype(np.int64),
        oval=index["oval"],
        lips_outer=index["outer"],
        lips_inner=inner,
        eyes=(index["right"], index["left"]),
    )


def is_below_mouth(plane: Float[np.ndarray, "v 2"], lips_inner: Int[np.ndarray, " l"]) -> np.ndarray:
    """Whether a vertex of the opened plane belongs to the lower side of the mouth. Returns: bool [v]."""
    corners = plane[lips_inner[[0, len(lips_inner) // 2]]]
    lower = plane[:, 1] < corners[:, 1].mean()
    half = len(lips_inner) // 2
    lower[lips_inner[1:half]] = True
    lower[lips_inner[half:]] = False
    lower[lips_inner[0]] = False
    return lower
