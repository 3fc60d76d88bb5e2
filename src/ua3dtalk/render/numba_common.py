"""What the numba kernels share: compiler options, tile size, columns of the projected Gaussians."""

from __future__ import annotations

from typing import Any, no_type_check

from numba import float32, njit

from ua3dtalk.render.numba_simd import LANES
from ua3dtalk.render.rasterizer import MAX_ALPHA, MIN_TRANSMITTANCE

# No "nnan"/"ninf": guards against non-finite numbers must survive. No "reassoc": it would leave the order of sums open.
OPTIONS: dict[str, Any] = {
    "fastmath": {"contract", "nsz", "arcp"},
    "cache": True,
    "boundscheck": False,
    "error_model": "numpy",
    "nogil": True,
}
INLINE: dict[str, Any] = {**OPTIONS, "forceinline": True}

TILE = 16
"""Tiles are 16 × 16 pixels, kept as strips of 8 × 16."""
STRIPS = TILE // LANES
PIXELS = TILE * TILE
CHUNKS = 64
"""Work on Gaussians is split into so many parts whatever the number of threads, so that sums do not depend on it."""

# Columns of a projected Gaussian (16 float32: one cache line).
X, Y = 0, 1  # centre, pixels
CONIC_XX, CONIC_XY, CONIC_YY = 2, 3, 4  # inverse covariance
OPACITY, CUTOFF = 5, 6  # cutoff: exponent where alpha reaches its threshold
LEFT, RIGHT, TOP, BOTTOM = 7, 8, 9, 10  # exact bounds, in units of pixel numbers, clipped to just outside the picture
RED, GREEN, BLUE, DEPTH = 11, 12, 13, 14
COLUMNS = 16

# Columns of what a (Gaussian, tile) pair sends back; extra channels follow.
G_X, G_Y, G_XX, G_XY, G_YY, G_OPACITY, G_RED, G_GREEN, G_BLUE = range(9)
GRADIENTS = 9

F_MAX_ALPHA, F_MIN_TRANSMITTANCE = float32(MAX_ALPHA), float32(MIN_TRANSMITTANCE)
ZERO, ONE, HALF = float32(0), float32(1), float32(0.5)
_EIGHTH = float32(-0.125)
_E1, _E2, _E3 = float32(0.999994763), float32(0.499899778), float32(0.166028404)
_E4, _E5 = float32(0.039848310), float32(0.005885253)


@njit(**INLINE)
@no_type_check
def exp_negative(x):
    """exp(−x) for 0 ≤ x ≤ 5.6 to 1e-6: a polynomial of x/8, squared three times; no branches, no bit tricks."""
    t = x * _EIGHTH
    p = ((((t * _E5 + _E4) * t + _E3) * t + _E2) * t + _E1) * t + ONE
    p = p * p
    p = p * p
    return p * p
