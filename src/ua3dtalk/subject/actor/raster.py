"""A small triangle rasterizer: z-buffer, perspective-correct barycentric weights, cut-outs for strands of hair."""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def hash01(a: int, b: int) -> float:
    """A repeatable pseudo-random number in [0, 1) from two integers."""
    h = (a * 374761393 + b * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def strand_covers(u: float, v: float, seed: int) -> bool:
    """Whether a card of hair is opaque at (u across, v along): single strands that thin out towards edge and tip."""
    strand = int(u * 14.0)
    length = 0.72 + 0.28 * hash01(strand, seed)
    edge = 1.0 - abs(2.0 * u - 1.0)
    if v > length or v < 0.10 * hash01(strand, seed + 31):
        return False
    return hash01(strand, seed + 7919) < 0.45 + 2.2 * edge * (1.0 - 0.5 * v)


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def rasterize(screen, triangles, cutout, uv, nearness, owner, weights):
    """Fill the buffers with the nearest triangle of each pixel.

    Args:
        screen: [V, 3] float32: x, y in pixels (centres at +0.5), depth along the optical axis in metres.
        triangles: [F, 3] int32. Seen clockwise on the screen (y down) they show their back and are skipped, unless
            ``cutout`` says that they are cards.
        cutout: [F] int32: -1 for solid triangles, -2 for solid ones that show both sides, else a card's
            seed: both sides shown, transparent between strands.
        uv: [V, 2] float32, across and along a card.
        nearness: [H, W] float32, out: one over the depth, 0 where nothing is.
        owner: [H, W] int32, out: number of the triangle, -1 where nothing is.
        weights: [H, W, 2] float32, out:
            perspective-correct weights of corners 1 and 2.
    """
    height, width = nearness.shape
    nearness[:] = 0
    owner[:] = -1
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, z0 = screen[i, 0], screen[i, 1], screen[i, 2]
        x1, y1, z1 = screen[j, 0], screen[j, 1], screen[j, 2]
        x2, y2, z2 = screen[k, 0], screen[k, 1], screen[k, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        card = cutout[f]
        if area == 0.0 or (card == -1 and area > 0.0) or z0 < 0.05 or z1 < 0.05 or z2 < 0.05:
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if left > right or top > bottom:
            continue
        inverse = np.float32(1.0) / area
        q0, q1, q2 = np.float32(1.0) / z0, np.float32(1.0) / z1, np.float32(1.0) / z2
        # Both weights are linear on the screen: w = at (x, y) + dx * right + dy * down.
        w1x, w1y = (y2 - y0) * inverse, -(x2 - x0) * inverse
        w2x, w2y = -(y1 - y0) * inverse, (x1 - x0) * inverse
        for y in range(top, bottom + 1):
            dx, dy = np.float32(left) + np.float32(0.5) - x0, np.float32(y) + np.float32(0.5) - y0
            w1, w2 = dx * w1x + dy * w1y - w1x, dx * w2x + dy * w2y - w2x
            for x in range(left, right + 1):
                w1 += w1x
                w2 += w2x
                w0 = np.float32(1.0) - w1 - w2
                if w0 < 0.0 or w1 < 0.0 or w2 < 0.0:
                    continue
                q = w0 * q0 + w1 * q1 + w2 * q2
                if q <= nearness[y, x]:
                    continue
                z = np.float32(1.0) / q
                b1, b2 = w1 * q1 * z, w2 * q2 * z
                if card >= 0:
                    b0 = np.float32(1.0) - b1 - b2
                    u = b0 * uv[i, 0] + b1 * uv[j, 0] + b2 * uv[k, 0]
                    v = b0 * uv[i, 1] + b1 * uv[j, 1] + b2 * uv[k, 1]
                    if not strand_covers(u, v, card):
                        continue
                nearness[y, x] = q
                owner[y, x] = f
                weights[y, x, 0] = b1
                weights[y, x, 1] = b2


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def vertex_normals(vertices, triangles, normals):
    """Area-weighted normals of a mesh, written to ``normals`` [V, 3] float32."""
    normals[:] = 0
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        ax, ay, az = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
        bx, by, bz = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for v in (i, j, k):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(normals.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + 1e-20
        for a in range(3):
            normals[v, a] /= length


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def add_shapes(points, basis, weights):
    """Add weighted displacements ``basis`` [B, V, 3] to ``points`` [V, 3]; zero weights cost nothing.

    Not a matrix product: the threads of a linear-algebra library cost more than this sum.
    """
    for b in range(len(weights)):
        if weights[b] == 0.0:
            continue
        for v in range(points.shape[0]):
            for a in range(3):
                points[v, a] += weights[b] * basis[b, v, a]


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def project(points, viewmat, intrinsics, screen):
    """Pixels and depth of ``points`` [V, 3], written to ``screen`` [V, 3]."""
    for v in range(points.shape[0]):
        x, y, z = points[v, 0], points[v, 1], points[v, 2]
        depth = viewmat[2, 0] * x + viewmat[2, 1] * y + viewmat[2, 2] * z + viewmat[2, 3]
        right = viewmat[0, 0] * x + viewmat[0, 1] * y + viewmat[0, 2] * z + viewmat[0, 3]
        down = viewmat[1, 0] * x + viewmat[1, 1] * y + viewmat[1, 2] * z + viewmat[1, 3]
        screen[v, 0] = right / depth * intrinsics[0, 0] + intrinsics[0, 2]
        screen[v, 1] = down / depth * intrinsics[1, 1] + intrinsics[1, 2]
        screen[v, 2] = depth
