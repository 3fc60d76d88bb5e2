"""Lane-wise pieces of `fusion_full_kernels`: what is done to sixteen Gaussians, one in each lane (DESIGN §7).

`shape` is (streams S, members M, latent D, Gaussians N). Arrays are flat, the lane last: a stream's outputs [M, D, 16],
moments [S, D, 16], Y [R / 3, D, 3, 16], the system's lower triangle [R(R+1)/2, 16]. R = S · (M-1 padded to a multiple
of 3, with rows of zeros), so that systems are made of tiles of 3 × 3 whose sums stay in registers. `no_type_check`
keeps the tests' type checker away, which would hand numba a wrapped function.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit
from numba.extending import register_jitable

from ua3dtalk.core.lanes import LANES, at_least, at_most, exp, fill, load, sqrt, store

_FAST = {"contract", "nsz"}
TILE = 3


@register_jitable
@no_type_check
def tiles_of(members):
    """Tiles of rows that a stream has in the system."""
    return (members - 1 + TILE - 1) // TILE


@register_jitable
@no_type_check
def rows_of(shape):
    """R: rows of a Gaussian's system."""
    return shape[0] * tiles_of(shape[1]) * TILE


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def tanh_of_eighth(raw):
    """tanh(raw / 8) within 2e-7; NaN stays NaN."""
    x = at_least(at_most(raw * np.float32(0.25), np.float32(40)), np.float32(-40))
    return np.float32(1) - np.float32(2) / (np.float32(1) + exp(x))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def contrasts(means, shape, stream, y, mean):
    """A stream's Helmert contrasts into `y` and its mean into `mean`."""
    _, members, latent, _ = shape
    tiles = tiles_of(members)
    for d in range(latent):
        base = load(means, d * LANES)
        total = fill(np.float32(0))
        for k in range(1, tiles * TILE + 1):
            at = (((stream * tiles + (k - 1) // TILE) * latent + d) * TILE + (k - 1) % TILE) * LANES
            if k < members:
                x = load(means, (k * latent + d) * LANES) - base
                norm = np.float32(1 / np.sqrt(k * (k + 1.0) * (members - 1.0)))
                store(y, at, (total - x * np.float32(k)) * norm)
                total = total + x
            else:
                store(y, at, fill(np.float32(0)))
        store(mean, (stream * latent + d) * LANES, base + total * np.float32(1 / members))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def root_of_total(shape, precision, d):
    """√P of a latent row."""
    streams, _, latent, _ = shape
    total = load(precision, d * LANES)
    for s in range(1, streams):
        total = total + load(precision, (s * latent + d) * LANES)
    return sqrt(total)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def scale(shape, precision, y):
    """Contrasts become Y: times p_s / √P."""
    streams, members, latent, _ = shape
    tiles = tiles_of(members)
    for d in range(latent):
        inverse = np.float32(1) / root_of_total(shape, precision, d)
        for s in range(streams):
            factor = load(precision, (s * latent + d) * LANES) * inverse
            for tile in range(s * tiles, (s + 1) * tiles):
                at = (tile * latent + d) * TILE * LANES
                for k in range(TILE):
                    store(y, at + k * LANES, load(y, at + k * LANES) * factor)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def weigh(shape, precision, mean, first, residual, weights):
    """z₀ into `first` [D], √P (z₀ - m_s) into `residual` [S, D], P/p_s - 1 and rows of -1 into `weights` [S+1, D]."""
    streams, _, latent, _ = shape
    for d in range(latent):
        total, weighted = fill(np.float32(0)), fill(np.float32(0))
        for s in range(streams):
            p = load(precision, (s * latent + d) * LANES)
            total = total + p
            weighted = weighted + p * load(mean, (s * latent + d) * LANES)
        z, root = weighted / total, sqrt(total)
        store(first, d * LANES, z)
        for s in range(streams):
            at = (s * latent + d) * LANES
            others = fill(np.float32(0))  # P - p_s without its rounding, so that K keeps its eigenvalues ≥ 1
            for t in range(streams):
                if t != s:
                    others = others + load(precision, (t * latent + d) * LANES)
            store(weights, at, others / load(precision, at))
            store(residual, at, (z - load(mean, at)) * root)
        store(weights, (streams * latent + d) * LANES, fill(np.float32(-1)))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def tile_of_system(y, weights, latent, rows, columns, lower):
    """Three rows and three columns of K, from `rows` and `columns` on: Y diag(weights) Yᵀ, below the diagonal."""
    a, b = rows * latent * LANES, columns * latent * LANES
    k00 = k01 = k02 = k10 = k11 = k12 = k20 = k21 = k22 = fill(np.float32(0))
    for d in range(latent):
        w = load(weights, d * LANES)
        b0, b1, b2 = load(y, b), load(y, b + LANES), load(y, b + 2 * LANES)
        a0, a1, a2 = load(y, a) * w, load(y, a + LANES) * w, load(y, a + 2 * LANES) * w
        k00, k01, k02 = k00 + a0 * b0, k01 + a0 * b1, k02 + a0 * b2
        k10, k11, k12 = k10 + a1 * b0, k11 + a1 * b1, k12 + a1 * b2
        k20, k21, k22 = k20 + a2 * b0, k21 + a2 * b1, k22 + a2 * b2
        a += TILE * LANES
        b += TILE * LANES
    for i, (left, middle, right) in enumerate(((k00, k01, k02), (k10, k11, k12), (k20, k21, k22))):
        row = rows + i
        at = (row * (row + 1) // 2 + columns) * LANES
        if rows != columns:
            store(lower, at, left)
            store(lower, at + LANES, middle)
            store(lower, at + 2 * LANES, right)
        else:
            one = np.float32(1)
            store(lower, at, left + one if i == 0 else left)
            if i > 0:
                store(lower, at + LANES, middle + one if i == 1 else middle)
            if i > 1:
                store(lower, at + 2 * LANES, right + one)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def factorise(size, lower):
    """Cholesky factor in place, its diagonal inverted.

    Pivots are ≥ 1, as K's eigenvalues are. What rounding leaves of them is held at no less than 1 and 1e-5 of K's
    diagonal, beneath which it is noise.
    """
    for j in range(size):
        right = j * (j + 1) // 2 * LANES
        for i in range(j, size):
            left = i * (i + 1) // 2 * LANES
            start = load(lower, left + j * LANES)
            rest = start
            for k in range(j):
                rest = rest - load(lower, left + k * LANES) * load(lower, right + k * LANES)
            if i == j:
                rest = np.float32(1) / sqrt(at_least(at_least(rest, start * np.float32(1e-5)), np.float32(1)))
            else:
                rest = rest * load(lower, right + j * LANES)
            store(lower, left + j * LANES, rest)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def solve(size, lower, x):
    """K⁻¹ x in place."""
    for i in range(size):
        row = i * (i + 1) // 2 * LANES
        rest = load(x, i * LANES)
        for k in range(i):
            rest = rest - load(lower, row + k * LANES) * load(x, k * LANES)
        store(x, i * LANES, rest * load(lower, row + i * LANES))
    for back in range(size):
        i = size - 1 - back
        row = i * (i + 1) // 2 * LANES
        found = load(x, i * LANES) * load(lower, row + i * LANES)
        store(x, i * LANES, found)
        for k in range(i):
            store(x, k * LANES, load(x, k * LANES) - load(lower, row + k * LANES) * found)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def project(y, vector, latent, rows, out):
    """Three rows of Y, from `rows` on, times `vector` [D]."""
    at = rows * latent * LANES
    p0 = p1 = p2 = fill(np.float32(0))
    for d in range(latent):
        v = load(vector, d * LANES)
        p0 = p0 + load(y, at) * v
        p1 = p1 + load(y, at + LANES) * v
        p2 = p2 + load(y, at + 2 * LANES) * v
        at += TILE * LANES
    store(out, rows * LANES, p0)
    store(out, (rows + 1) * LANES, p1)
    store(out, (rows + 2) * LANES, p2)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def combine(y, x, latent, rows, out):
    """Add three rows of Y, from `rows` on, weighted by `x`, to `out` [D]."""
    at = rows * latent * LANES
    x0, x1, x2 = load(x, rows * LANES), load(x, (rows + 1) * LANES), load(x, (rows + 2) * LANES)
    for d in range(latent):
        here = load(out, d * LANES) + load(y, at) * x0
        store(out, d * LANES, here + load(y, at + LANES) * x1 + load(y, at + 2 * LANES) * x2)
        at += TILE * LANES


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def fuse_group(shape, precision, mean, y, system, z, work):
    """Fill `system`, which is lower and alpha, and z [D]; `work` has room for [2S + 1, D]."""
    streams, _, latent, _ = shape
    row, rows = latent * LANES, rows_of(shape)
    lower, alpha = system
    residual, weights = work[: streams * row], work[streams * row :]
    weigh(shape, precision, mean, z, residual, weights)
    for i in range(0, rows, TILE):
        s = i * streams // rows
        project(y, residual[s * row : (s + 1) * row], latent, i, alpha)
        for j in range(0, i + 1, TILE):
            same = s if j * streams // rows == s else streams
            tile_of_system(y, weights[same * row : (same + 1) * row], latent, i, j, lower)
    factorise(rows, lower)
    solve(rows, lower, alpha)
    moved = residual[:row]
    moved[:] = np.float32(0)
    for i in range(0, rows, TILE):
        combine(y, alpha, latent, i, moved)
    for d in range(latent):
        store(z, d * LANES, load(z, d * LANES) + load(moved, d * LANES) / root_of_total(shape, precision, d))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def pull_group(shape, precision, y, lower, solutions, rows_of_latent, pulled):
    """Solve for the second of `solutions`, β; add Σ Y_s β_s and Σ Y_s α_s to `pulled` [S, D] each.

    `rows_of_latent` [2, D] are z and dL/dz.
    """
    streams, _, latent, _ = shape
    alpha, beta = solutions
    r, w = pulled
    row, rows = latent * LANES, rows_of(shape)
    direct = np.empty(row, np.float32)
    for d in range(latent):
        store(direct, d * LANES, load(rows_of_latent, row + d * LANES) / root_of_total(shape, precision, d))
    for i in range(0, rows, TILE):
        project(y, direct, latent, i, beta)
    solve(rows, lower, beta)
    for i in range(0, rows, TILE):
        s = i * streams // rows
        combine(y, beta, latent, i, r[s * row : (s + 1) * row])
        combine(y, alpha, latent, i, w[s * row : (s + 1) * row])


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def member_weights(x, shape, stream, constant, out):
    """Helmert rows, transposed, times a stream's part of `x`, plus `constant`: one number per member."""
    members = shape[1]
    first = stream * tiles_of(members) * TILE - 1
    later = fill(np.float32(constant))
    for back in range(members):
        t = members - 1 - back
        here = later
        if t > 0:
            norm = np.float32(1 / np.sqrt(t * (t + 1.0) * (members - 1.0)))
            own = load(x, (first + t) * LANES) * norm
            here = later - own * np.float32(t)
            later = later + own
        store(out, t * LANES, here)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def to_streams(shape, precision, mean, rows, r, w):
    """`r` and `w` [S, D] out of Σ Y_s β_s and Σ Y_s α_s in the same arrays; `rows` [2, D] are z and dL/dz."""
    streams, _, latent, _ = shape
    for d in range(latent):
        root = root_of_total(shape, precision, d)
        z, q = load(rows, d * LANES), load(rows, (latent + d) * LANES) / root
        for s in range(streams):
            q = q + load(r, (s * latent + d) * LANES)
        q = q / root
        for s in range(streams):
            at = (s * latent + d) * LANES
            p = load(precision, at)
            store(r, at, p * q - root * load(r, at))
            store(w, at, p * (load(mean, at) - z) + root * load(w, at))
