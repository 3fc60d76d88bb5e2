"""Numba: spherical harmonics of one direction and their gradient (see ``geometry.spherical_harmonics``)."""

from __future__ import annotations

from typing import no_type_check

from numba import njit

from ua3dtalk.geometry.spherical_harmonics import SH_C0
from ua3dtalk.render.numba_common import INLINE

C1 = 0.48860251190292
C2, C2_ZZ, C2_1, C2_XX = 1.0925484305920792, 0.9461746957575601, 0.31539156525252005, 0.5462742152960396
C3_XXX, C3_XYZ, C3_XZZ = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
C3_ZZZ, C3_XXZ = 0.3731763325901154, 1.445305721320277


@njit(**INLINE)
@no_type_check
def harmonics(x, y, z, degree, basis):
    """Write the (degree + 1)² harmonics at the unit vector (x, y, z)."""
    basis[0] = SH_C0
    if degree >= 1:
        basis[1], basis[2], basis[3] = -C1 * y, C1 * z, -C1 * x
    if degree >= 2:
        basis[4], basis[5], basis[7] = C2 * x * y, -C2 * y * z, -C2 * x * z
        basis[6], basis[8] = C2_ZZ * z * z - C2_1, C2_XX * (x * x - y * y)
    if degree >= 3:
        basis[9], basis[10] = -C3_XXX * y * (3.0 * x * x - y * y), C3_XYZ * x * y * z
        basis[11], basis[13] = -C3_XZZ * y * (5.0 * z * z - 1.0), -C3_XZZ * x * (5.0 * z * z - 1.0)
        basis[12], basis[14] = C3_ZZZ * z * (5.0 * z * z - 3.0), C3_XXZ * z * (x * x - y * y)
        basis[15] = -C3_XXX * x * (x * x - 3.0 * y * y)


@njit(**INLINE)
@no_type_check
def harmonics_gradient(x, y, z, degree, w):
    """Gradient by (x, y, z) of Σ w_k Y_k, before its projection onto the sphere."""
    gx, gy, gz = 0.0, 0.0, 0.0
    if degree >= 1:
        gx, gy, gz = -C1 * w[3], -C1 * w[1], C1 * w[2]
    if degree >= 2:
        gx += C2 * (y * w[4] - z * w[7]) + 2.0 * C2_XX * x * w[8]
        gy += C2 * (x * w[4] - z * w[5]) - 2.0 * C2_XX * y * w[8]
        gz += -C2 * (y * w[5] + x * w[7]) + 2.0 * C2_ZZ * z * w[6]
    if degree >= 3:
        difference, ring = x * x - y * y, 5.0 * z * z - 1.0
        gx += C3_XYZ * y * z * w[10] - C3_XXX * (6.0 * x * y * w[9] + 3.0 * difference * w[15])
        gx += 2.0 * C3_XXZ * x * z * w[14] - C3_XZZ * ring * w[13]
        gy += C3_XYZ * x * z * w[10] - C3_XXX * (3.0 * difference * w[9] - 6.0 * x * y * w[15])
        gy += -2.0 * C3_XXZ * y * z * w[14] - C3_XZZ * ring * w[11]
        gz += C3_XYZ * x * y * w[10] - 10.0 * C3_XZZ * z * (y * w[11] + x * w[13])
        gz += C3_ZZZ * (15.0 * z * z - 3.0) * w[12] + C3_XXZ * difference * w[14]
    return gx, gy, gz
