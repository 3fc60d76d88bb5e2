"""CPU kernels of the feature planes: bilinear sampling of all planes, product over a level's three, and its gradient.

Race-free and deterministic: the forward pass deals out blocks of points, the backward pass deals out planes (each plane
of each level has its own rows of the table), so one thread and many give the same bits. The channel loops run over
row views on purpose: indexing the table inside them was 2-3 times slower. `no_type_check` keeps the tests' type checker
away, which would hand numba a wrapped function.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit, prange

FIRST_AXIS = (0, 1, 2)
SECOND_AXIS = (1, 2, 0)
"""The planes' axes: xy, yz, zx."""

_BLOCK = 256


@njit(cache=True, inline="always", error_model="numpy")
@no_type_check
def _cell(coordinate, half_extent, cells_per_m, resolution):
    """Left grid index and the weight of its right neighbour; clamped to the plane, NaN to its border."""
    last = np.float32(resolution - 1)
    u = (coordinate + half_extent) * cells_per_m
    u = u if u > np.float32(0) else np.float32(0)
    u = u if u < last else last
    i = min(np.int64(np.int32(u)), resolution - 2)
    return i, u - np.float32(i)


@njit(cache=True, inline="always", error_model="numpy")
@no_type_check
def _corner(point, plane, half_extent, cells_per_m, resolution):
    """Row of the cell's first corner (from the level's first row) and the four corners' weights."""
    a, wa = _cell(point[FIRST_AXIS[plane]], half_extent, cells_per_m, resolution)
    b, wb = _cell(point[SECOND_AXIS[plane]], half_extent, cells_per_m, resolution)
    w11 = wa * wb
    w10 = wa - w11
    w01 = wb - w11
    w00 = np.float32(1) - wa - w01
    return (plane * resolution + a) * resolution + b, w00, w01, w10, w11


@njit(parallel=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
@no_type_check
def sample(points, table, offsets, resolutions, cells_per_m, half_extent, samples, features):
    """Fill the single planes' `samples` [L, 3, N, C] and their products, `features` [N, L·C]."""
    n = points.shape[0]
    channels = table.shape[1]
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        for level in range(resolutions.shape[0]):
            r = resolutions[level]
            for i in range(block * _BLOCK, min(n, (block + 1) * _BLOCK)):
                for plane in range(3):
                    o, w00, w01, w10, w11 = _corner(points[i], plane, half_extent, cells_per_m[level], r)
                    o += offsets[level]
                    t00, t01, t10, t11 = table[o], table[o + 1], table[o + r], table[o + r + 1]
                    out = samples[level, plane, i]
                    for c in range(channels):
                        out[c] = w00 * t00[c] + w01 * t01[c] + w10 * t10[c] + w11 * t11[c]
                xy, yz, zx = samples[level, 0, i], samples[level, 1, i], samples[level, 2, i]
                feature = features[i, level * channels : (level + 1) * channels]
                for c in range(channels):
                    feature[c] = xy[c] * yz[c] * zx[c]


@njit(parallel=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
@no_type_check
def sample_backward(points, gradient, offsets, resolutions, cells_per_m, half_extent, samples, out):
    """Add the gradient of `features` [N, L·C] to that of the table, `out` [rows, C], one task per plane."""
    channels = out.shape[1]
    for task in prange(3 * resolutions.shape[0]):
        level = task // 3
        plane = task % 3
        r = resolutions[level]
        for i in range(points.shape[0]):
            o, w00, w01, w10, w11 = _corner(points[i], plane, half_extent, cells_per_m[level], r)
            o += offsets[level]
            g = gradient[i, level * channels : (level + 1) * channels]
            left, right = samples[level, (plane + 1) % 3, i], samples[level, (plane + 2) % 3, i]
            t00, t01, t10, t11 = out[o], out[o + 1], out[o + r], out[o + r + 1]
            for c in range(channels):
                v = g[c] * left[c] * right[c]
                t00[c] += w00 * v
                t01[c] += w01 * v
                t10[c] += w10 * v
                t11[c] += w11 * v
