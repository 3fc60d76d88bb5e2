"""Numba kernel: tiles front to back."""

from __future__ import annotations

import math
from typing import no_type_check

import numpy as np
from numba import float32, njit

from ua3dtalk.render.numba_common import (
    BLUE,
    BOTTOM,
    CONIC_XX,
    CONIC_XY,
    CONIC_YY,
    CUTOFF,
    DEPTH,
    F_MAX_ALPHA,
    F_MIN_TRANSMITTANCE,
    GREEN,
    HALF,
    INLINE,
    LEFT,
    ONE,
    OPACITY,
    OPTIONS,
    PIXELS,
    RED,
    RIGHT,
    STRIPS,
    TILE,
    TOP,
    ZERO,
    X,
    Y,
    exp_negative,
)
from ua3dtalk.render.numba_simd import LANES, any_lane, lanes, negative_abs, splat, vload, vstore, where

CHANNELS = 5
"""Planes of the tile buffer before the extra channels: transmittance, red, green, blue, depth."""


@njit(**INLINE)
@no_type_check
def clear(buffer, planes, rows, columns):
    """Transmittance 1 inside the picture; −1 (a finished pixel) outside; 0 in the other planes."""
    for i in range(PIXELS, planes * PIXELS):
        buffer[i] = ZERO
    for s in range(STRIPS):
        for r in range(TILE):
            for x in range(LANES):
                inside = r < rows and s * LANES + x < columns
                buffer[(s * TILE + r) * LANES + x] = ONE if inside else -ONE


@njit(**INLINE)
@no_type_check
def _draw(buffer, g, k, extras, num_extras, x0, y0):
    """Composite Gaussian ``k`` into the tile at ``(x0, y0)``."""
    mx, my, o = g[k, X], g[k, Y], g[k, OPACITY]
    half_xx, xy, half_yy = HALF * g[k, CONIC_XX], g[k, CONIC_XY], HALF * g[k, CONIC_YY]
    cutoff = splat(g[k, CUTOFF])
    red, green, blue, depth = g[k, RED], g[k, GREEN], g[k, BLUE], g[k, DEPTH]
    first = max(0, math.ceil(g[k, TOP]) - y0)
    last = min(TILE - 1, math.floor(g[k, BOTTOM]) - y0)
    for s in range(STRIPS):
        left = float32(x0 + s * LANES)
        if g[k, RIGHT] < left or g[k, LEFT] > left + float32(LANES - 1):
            continue
        dx = lanes() + (left + HALF - mx)
        for r in range(first, last + 1):
            dy = float32(y0 + r) + HALF - my
            i = (s * TILE + r) * LANES
            sigma = dx * (half_xx * dx + xy * dy) + half_yy * dy * dy
            hit = sigma <= cutoff
            alpha = o * exp_negative(where(hit, sigma, cutoff))
            alpha = where(alpha < F_MAX_ALPHA, alpha, F_MAX_ALPHA)
            alpha = where(hit, alpha, ZERO)
            before = vload(buffer, i)
            after = before - before * alpha
            live = after > F_MIN_TRANSMITTANCE
            weight = where(live, alpha * before, ZERO)
            vstore(buffer, i, where(live, after, negative_abs(before)))  # the sign is the "finished" flag
            vstore(buffer, i + PIXELS, vload(buffer, i + PIXELS) + weight * red)
            vstore(buffer, i + 2 * PIXELS, vload(buffer, i + 2 * PIXELS) + weight * green)
            vstore(buffer, i + 3 * PIXELS, vload(buffer, i + 3 * PIXELS) + weight * blue)
            vstore(buffer, i + 4 * PIXELS, vload(buffer, i + 4 * PIXELS) + weight * depth)
            for c in range(num_extras):
                j = i + (CHANNELS + c) * PIXELS
                vstore(buffer, j, vload(buffer, j) + weight * extras[k, c])


@njit(**INLINE)
@no_type_check
def _all_finished(buffer):
    highest = vload(buffer, 0)
    for i in range(LANES, PIXELS, LANES):
        other = vload(buffer, i)
        highest = where(other > highest, other, highest)
    return not any_lane(highest > ZERO)


@njit(**OPTIONS)
@no_type_check
def rasterize(worker, num_workers, g, extras, starts, ids, tiles_x, rgb, alpha, depth, extra, transmittance, ends):
    """Draw one worker's tiles.

    Args:
        worker, num_workers: Tiles are dealt round-robin.
        g: Projected Gaussians [N, COLUMNS].
        extras: Extra channels [N, E].
        starts: Where each tile's list begins, and the total [tiles + 1].
        ids: Gaussians of each tile, front to back.
        tiles_x: Tiles in a row.
        rgb, alpha, depth, extra, transmittance: Pictures to write; the last is 1 − alpha without its rounding.
        ends: To write: where each tile stopped.
    """
    height, width = alpha.shape
    num_extras = extras.shape[1]
    planes = CHANNELS + num_extras
    buffer = np.empty(planes * PIXELS, np.float32)
    for t in range(worker, len(starts) - 1, num_workers):
        x0, y0 = (t % tiles_x) * TILE, (t // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        clear(buffer, planes, rows, columns)
        entry, end = starts[t], starts[t + 1]
        while entry < end:
            _draw(buffer, g, ids[entry], extras, num_extras, x0, y0)
            entry += 1
            if (entry & 15) == 15 and _all_finished(buffer):
                break
        ends[t] = entry
        for r in range(rows):
            y = y0 + r
            for column in range(columns):
                i = ((column // LANES) * TILE + r) * LANES + column % LANES
                x = x0 + column
                left = abs(buffer[i])
                transmittance[y, x] = left
                alpha[y, x] = ONE - left
                rgb[y, x, 0] = buffer[i + PIXELS]
                rgb[y, x, 1] = buffer[i + 2 * PIXELS]
                rgb[y, x, 2] = buffer[i + 3 * PIXELS]
                depth[y, x] = buffer[i + 4 * PIXELS]
                for c in range(num_extras):
                    extra[y, x, c] = buffer[i + (CHANNELS + c) * PIXELS]
