"""Numba kernel: gradients of the tiles, front to back like the forward pass.

Each pixel carries S = Σ (what lies behind, dotted with its gradient) − T_final · g_alpha, so no list of weights is
kept: dL/dα = T (c·g) − S/(1−α). Each (Gaussian, tile) pair writes its own row of moments; a later gather sums the rows
of a Gaussian in a fixed order, so there are no races and any number of threads gives the same bits.
"""

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
    F_MAX_ALPHA,
    F_MIN_TRANSMITTANCE,
    G_BLUE,
    G_GREEN,
    G_OPACITY,
    G_RED,
    G_X,
    G_XX,
    G_XY,
    G_Y,
    G_YY,
    GRADIENTS,
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
from ua3dtalk.render.numba_forward import clear
from ua3dtalk.render.numba_simd import LANES, horizontal_sum, lanes, negative_abs, splat, vload, vstore, where

CHANNELS = 5
"""Planes of the tile buffer before the extra channels: transmittance, S, gradient by red, green, blue."""


@njit(**INLINE)
@no_type_check
def _load_gradients(buffer, rgb, extra, transmittance, v_rgb, v_alpha, v_extra, x0, y0, rows, columns):
    """Fill the tile's planes from the pictures and their gradients."""
    num_extras = extra.shape[2]
    clear(buffer, CHANNELS + num_extras, rows, columns)
    for r in range(rows):
        y = y0 + r
        for column in range(columns):
            i = ((column // LANES) * TILE + r) * LANES + column % LANES
            x = x0 + column
            red, green, blue = v_rgb[y, x, 0], v_rgb[y, x, 1], v_rgb[y, x, 2]
            buffer[i + 2 * PIXELS] = red
            buffer[i + 3 * PIXELS] = green
            buffer[i + 4 * PIXELS] = blue
            behind = red * rgb[y, x, 0] + green * rgb[y, x, 1] + blue * rgb[y, x, 2]
            for c in range(num_extras):
                buffer[i + (CHANNELS + c) * PIXELS] = v_extra[y, x, c]
                behind += v_extra[y, x, c] * extra[y, x, c]
            buffer[i + PIXELS] = behind - transmittance[y, x] * v_alpha[y, x]


@njit(**INLINE)
@no_type_check
def _moments(buffer, sums, g, k, extras, num_extras, x0, y0, row):
    """Composite Gaussian ``k`` again and write the moments of its gradient in this tile into ``row``."""
    mx, my, o = g[k, X], g[k, Y], g[k, OPACITY]
    xx, xy, yy = g[k, CONIC_XX], g[k, CONIC_XY], g[k, CONIC_YY]
    half_xx, half_yy = HALF * xx, HALF * yy
    cutoff = splat(g[k, CUTOFF])
    red, green, blue = g[k, RED], g[k, GREEN], g[k, BLUE]
    first = max(0, math.ceil(g[k, TOP]) - y0)
    last = min(TILE - 1, math.floor(g[k, BOTTOM]) - y0)
    zero = splat(ZERO)
    m, m_x, m_y, m_xx, m_xy, m_yy, m_red, m_green, m_blue = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for c in range(num_extras):
        vstore(sums, c * LANES, zero)
    for s in range(STRIPS):
        left = float32(x0 + s * LANES)
        if g[k, RIGHT] < left or g[k, LEFT] > left + float32(LANES - 1):
            continue
        dx = lanes() + (left + HALF - mx)
        strip_x = zero
        for r in range(first, last + 1):
            dy = float32(y0 + r) + HALF - my
            i = (s * TILE + r) * LANES
            sigma = dx * (half_xx * dx + xy * dy) + half_yy * dy * dy
            hit = sigma <= cutoff
            raw = o * exp_negative(where(hit, sigma, cutoff))
            free = raw < F_MAX_ALPHA
            alpha = where(free, raw, F_MAX_ALPHA)
            alpha = where(hit, alpha, ZERO)
            before = vload(buffer, i)
            after = before - before * alpha
            live = after > F_MIN_TRANSMITTANCE
            vstore(buffer, i, where(live, after, negative_abs(before)))
            weight = where(live, alpha * before, ZERO)
            v_red, v_green, v_blue = (
                vload(buffer, i + 2 * PIXELS),
                vload(buffer, i + 3 * PIXELS),
                vload(buffer, i + 4 * PIXELS),
            )
            value = red * v_red + green * v_green + blue * v_blue
            m_red, m_green, m_blue = m_red + weight * v_red, m_green + weight * v_green, m_blue + weight * v_blue
            for c in range(num_extras):
                v_extra = vload(buffer, i + (CHANNELS + c) * PIXELS)
                value = value + extras[k, c] * v_extra
                vstore(sums, c * LANES, vload(sums, c * LANES) + weight * v_extra)
            behind = vload(buffer, i + PIXELS) - weight * value
            vstore(buffer, i + PIXELS, behind)
            v = alpha * (before * value - behind / (ONE - alpha))  # −dL/dσ
            v = where(live & free, v, ZERO)
            v_dx = v * dx
            m, strip_x, m_y = m + v, strip_x + v_dx, m_y + v * dy
            m_xy, m_yy = m_xy + v_dx * dy, m_yy + v * (dy * dy)
        m_x, m_xx = m_x + strip_x, m_xx + strip_x * dx
    along_x, along_y = horizontal_sum(m_x), horizontal_sum(m_y)
    row[G_X], row[G_Y] = xx * along_x + xy * along_y, xy * along_x + yy * along_y
    row[G_XX], row[G_XY], row[G_YY] = -HALF * horizontal_sum(m_xx), -horizontal_sum(m_xy), -HALF * horizontal_sum(m_yy)
    row[G_OPACITY] = horizontal_sum(m) / o
    row[G_RED], row[G_GREEN], row[G_BLUE] = horizontal_sum(m_red), horizontal_sum(m_green), horizontal_sum(m_blue)
    for c in range(num_extras):
        row[GRADIENTS + c] = horizontal_sum(vload(sums, c * LANES))


@njit(**OPTIONS)
@no_type_check
def rasterize_backward(
    worker,
    num_workers,
    g,
    extras,
    starts,
    ids,
    ends,
    tiles_x,
    rgb,
    extra,
    transmittance,
    v_rgb,
    v_alpha,
    v_extra,
    rows_out,
):
    """Gradient moments of each (Gaussian, tile) pair in one worker's tiles.

    Args:
        worker, num_workers, g, extras, starts, ids, tiles_x: As in the forward pass.
        ends: Where each tile stopped.
        rgb, extra, transmittance: Pictures of the forward pass.
        v_rgb, v_alpha, v_extra: Gradients of the loss by them (by alpha, not transmittance).
        rows_out: To write [pairs, GRADIENTS + E].
    """
    height, width = transmittance.shape
    num_extras = extras.shape[1]
    buffer = np.empty((CHANNELS + num_extras) * PIXELS, np.float32)
    sums = np.empty(num_extras * LANES, np.float32)
    for t in range(worker, len(starts) - 1, num_workers):
        x0, y0 = (t % tiles_x) * TILE, (t // tiles_x) * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        _load_gradients(buffer, rgb, extra, transmittance, v_rgb, v_alpha, v_extra, x0, y0, rows, columns)
        for entry in range(starts[t], ends[t]):
            _moments(buffer, sums, g, ids[entry], extras, num_extras, x0, y0, rows_out[entry])
        for entry in range(ends[t], starts[t + 1]):
            for c in range(GRADIENTS + num_extras):
                rows_out[entry, c] = ZERO
