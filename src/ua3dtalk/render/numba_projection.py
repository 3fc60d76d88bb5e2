"""Numba kernel: EWA projection, colour and bounds of each Gaussian. Scalar float64: it is a few percent of the time."""

from __future__ import annotations

import math
from typing import no_type_check

import numpy as np
from numba import njit

from ua3dtalk.render.numba_common import (
    BLUE,
    BOTTOM,
    CHUNKS,
    CONIC_XX,
    CONIC_XY,
    CONIC_YY,
    CUTOFF,
    DEPTH,
    GREEN,
    INLINE,
    LEFT,
    OPACITY,
    OPTIONS,
    RED,
    RIGHT,
    TILE,
    TOP,
    X,
    Y,
)
from ua3dtalk.render.numba_harmonics import harmonics
from ua3dtalk.render.rasterizer import CLAMP_MARGIN, DILATION_PX2, FAR_M, MIN_ALPHA, NEAR_M

# The camera as float64: rotation (9, by rows), translation (3), position (3), fx, fy, cx, cy, clamp limits (4).
TRANSLATION, POSITION, INTRINSICS, LIMITS = 9, 12, 15, 19


def pack_camera(viewmat: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
    """The camera's numbers in one array, as the kernels read them."""
    viewmat, K = viewmat.astype(np.float64), K.astype(np.float64)
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    position = -np.linalg.solve(rotation, translation)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    margin_x, margin_y = CLAMP_MARGIN * width / fx, CLAMP_MARGIN * height / fy
    limits = (-cx / fx - margin_x, (width - cx) / fx + margin_x, -cy / fy - margin_y, (height - cy) / fy + margin_y)
    return np.array([*rotation.ravel(), *translation, *position, fx, fy, cx, cy, *limits])


@njit(**INLINE)
@no_type_check
def all_finite(means, quats, scales, opacities, sh, extras, i, num_sh):
    """Whether Gaussian ``i`` holds only finite numbers."""
    total = float(opacities[i])
    for j in range(3):
        total += abs(float(means[i, j])) + abs(float(scales[i, j]))
    for j in range(4):
        total += abs(float(quats[i, j]))
    for k in range(num_sh):
        total += abs(float(sh[i, k, 0])) + abs(float(sh[i, k, 1])) + abs(float(sh[i, k, 2]))
    for c in range(extras.shape[1]):
        total += abs(float(extras[i, c]))
    return math.isfinite(total)


@njit(**INLINE)
@no_type_check
def to_camera(means, i, cam):
    """Centre of Gaussian ``i`` in camera axes."""
    x, y, z = float(means[i, 0]), float(means[i, 1]), float(means[i, 2])
    return (
        cam[0] * x + cam[1] * y + cam[2] * z + cam[TRANSLATION],
        cam[3] * x + cam[4] * y + cam[5] * z + cam[TRANSLATION + 1],
        cam[6] * x + cam[7] * y + cam[8] * z + cam[TRANSLATION + 2],
    )


@njit(**INLINE)
@no_type_check
def rotation_of(w, x, y, z, matrix):
    """Write the rotation matrix (9, by rows) of a unit quaternion."""
    matrix[0], matrix[1], matrix[2] = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)
    matrix[3], matrix[4], matrix[5] = 2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)
    matrix[6], matrix[7], matrix[8] = 2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)


@njit(**INLINE)
@no_type_check
def own_axes(scales, i, cam, rotation, axes):
    """Write the Gaussian's scaled axes in the camera (9, by rows): viewing rotation · rotation · diag(scales)."""
    for column in range(3):
        s = float(scales[i, column])
        a, b, c = rotation[column] * s, rotation[3 + column] * s, rotation[6 + column] * s
        for row in range(3):
            axes[3 * row + column] = cam[3 * row] * a + cam[3 * row + 1] * b + cam[3 * row + 2] * c


@njit(**INLINE)
@no_type_check
def slopes(x, y, z, cam):
    """x/z and y/z, clamped for the Jacobian."""
    u = min(max(x / z, cam[LIMITS]), cam[LIMITS + 1])
    v = min(max(y / z, cam[LIMITS + 2]), cam[LIMITS + 3])
    return u, v


@njit(**INLINE)
@no_type_check
def _colour(means, sh, i, degree, cam, basis, g):
    dx, dy, dz = 0.0, 0.0, 1.0
    if degree > 0:
        dx = float(means[i, 0]) - cam[POSITION]
        dy = float(means[i, 1]) - cam[POSITION + 1]
        dz = float(means[i, 2]) - cam[POSITION + 2]
        inverse = 1.0 / max(math.sqrt(dx * dx + dy * dy + dz * dz), 1e-12)
        dx, dy, dz = dx * inverse, dy * inverse, dz * inverse
    harmonics(dx, dy, dz, degree, basis)
    red, green, blue = 0.5, 0.5, 0.5
    for k in range((degree + 1) ** 2):
        red += basis[k] * sh[i, k, 0]
        green += basis[k] * sh[i, k, 1]
        blue += basis[k] * sh[i, k, 2]
    g[i, RED], g[i, GREEN], g[i, BLUE] = max(red, 0.0), max(green, 0.0), max(blue, 0.0)


@njit(**INLINE)
@no_type_check
def _bounds(g, i, x, y, extent_x, extent_y, width, height, boxes):
    """Exact bounds (pixel numbers), the box of tiles and its size; 0 where the picture is missed."""
    left, right = max(x - extent_x - 0.5, -1.0), min(x + extent_x - 0.5, float(width))
    top, bottom = max(y - extent_y - 0.5, -1.0), min(y + extent_y - 0.5, float(height))
    if not (left <= width and right >= -1.0 and top <= height and bottom >= -1.0):
        return 0
    first_x, last_x = max(math.ceil(left), 0), min(math.floor(right), width - 1)
    first_y, last_y = max(math.ceil(top), 0), min(math.floor(bottom), height - 1)
    if first_x > last_x or first_y > last_y:
        return 0
    g[i, LEFT], g[i, RIGHT], g[i, TOP], g[i, BOTTOM] = left, right, top, bottom
    boxes[i, 0], boxes[i, 1] = first_x // TILE, last_x // TILE + 1
    boxes[i, 2], boxes[i, 3] = first_y // TILE, last_y // TILE + 1
    return (boxes[i, 1] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 2])


@njit(**INLINE)
@no_type_check
def _geometry(means, quats, scales, opacities, i, cam, width, height, rotation, axes, g, boxes, radii):
    """Projected ellipse of Gaussian ``i``; returns the number of tiles it meets."""
    o = float(opacities[i])
    x, y, z = to_camera(means, i, cam)
    qw, qx, qy, qz = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    norm = math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    if not (NEAR_M <= z <= FAR_M and o >= MIN_ALPHA and norm > 0.0):
        return 0
    rotation_of(qw / norm, qx / norm, qy / norm, qz / norm, rotation)
    own_axes(scales, i, cam, rotation, axes)
    u, v = slopes(x, y, z, cam)
    fx, fy = cam[INTRINSICS] / z, cam[INTRINSICS + 1] / z
    xx, xy, yy = DILATION_PX2, 0.0, DILATION_PX2
    for j in range(3):
        p, q = fx * (axes[j] - u * axes[6 + j]), fy * (axes[3 + j] - v * axes[6 + j])
        xx += p * p
        xy += p * q
        yy += q * q
    determinant = xx * yy - xy * xy
    px, py = fx * x + cam[INTRINSICS + 2], fy * y + cam[INTRINSICS + 3]
    cutoff = math.log(o / MIN_ALPHA)
    extent = math.sqrt(2.0 * cutoff)
    extent_x, extent_y = extent * math.sqrt(xx), extent * math.sqrt(yy)
    if not (determinant > 0.0 and math.isfinite(px + py + extent_x + extent_y + determinant)):
        return 0
    tiles = _bounds(g, i, px, py, extent_x, extent_y, width, height, boxes)
    if tiles > 0:
        g[i, X], g[i, Y], g[i, OPACITY], g[i, CUTOFF], g[i, DEPTH] = px, py, o, cutoff, z
        g[i, CONIC_XX], g[i, CONIC_XY], g[i, CONIC_YY] = yy / determinant, -xy / determinant, xx / determinant
        radii[i] = int(min(math.ceil(max(extent_x, extent_y)), 1e9))
    return tiles


@njit(**OPTIONS)
@no_type_check
def project(
    worker,
    num_workers,
    means,
    quats,
    scales,
    opacities,
    sh,
    extras,
    degree,
    cam,
    width,
    height,
    g,
    boxes,
    counts,
    radii,
):
    """Project one worker's Gaussians.

    Args:
        worker, num_workers: Chunks of Gaussians are dealt round-robin.
        means, quats, scales, opacities, sh, extras: Inputs; a Gaussian with a non-finite number is left out.
        degree: SH degree.
        cam: ``pack_camera``.
        width, height: Picture, pixels.
        g: To write [N, COLUMNS]; rows that are not drawn stay as they are.
        boxes: To write: tiles [N, 4] as x first, x end, y first, y end.
        counts: To write: tiles met [N]; 0 is not drawn.
        radii: To write: half extents [N], pixels.
    """
    n = means.shape[0]
    num_sh = (degree + 1) ** 2
    for chunk in range(worker, CHUNKS, num_workers):
        rotation, axes, basis = np.empty(9), np.empty(9), np.empty(16)
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            counts[i] = 0
            radii[i] = 0
            if not all_finite(means, quats, scales, opacities, sh, extras, i, num_sh):
                continue
            counts[i] = _geometry(
                means, quats, scales, opacities, i, cam, width, height, rotation, axes, g, boxes, radii
            )
            if counts[i] > 0:
                _colour(means, sh, i, degree, cam, basis, g)
