"""Numba kernel: gather of the tiles' moments, then the gradient of projection and colour."""

from __future__ import annotations

import math
from typing import no_type_check

import numpy as np
from numba import njit

from ua3dtalk.render.numba_common import (
    CHUNKS,
    CONIC_XX,
    CONIC_XY,
    CONIC_YY,
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
    INLINE,
    OPTIONS,
    RED,
)
from ua3dtalk.render.numba_harmonics import harmonics, harmonics_gradient
from ua3dtalk.render.numba_projection import INTRINSICS, LIMITS, POSITION, own_axes, rotation_of, slopes, to_camera

# Gradient by the camera: rotation (9), translation (3), position (3).
CAMERA_GRADIENTS = 15


@njit(**INLINE)
@no_type_check
def _quat_gradient(rotation_gradient, w, x, y, z, norm, v_quats, i):
    """Through the rotation matrix and the normalisation."""
    r = rotation_gradient
    gw = 2.0 * (x * (r[7] - r[5]) + y * (r[2] - r[6]) + z * (r[3] - r[1]))
    gx = 2.0 * (-2.0 * x * (r[4] + r[8]) + y * (r[1] + r[3]) + z * (r[2] + r[6]) + w * (r[7] - r[5]))
    gy = 2.0 * (x * (r[1] + r[3]) - 2.0 * y * (r[0] + r[8]) + z * (r[5] + r[7]) + w * (r[2] - r[6]))
    gz = 2.0 * (x * (r[2] + r[6]) + y * (r[5] + r[7]) - 2.0 * z * (r[0] + r[4]) + w * (r[3] - r[1]))
    along = gw * w + gx * x + gy * y + gz * z
    v_quats[i, 0], v_quats[i, 1] = (gw - along * w) / norm, (gx - along * x) / norm
    v_quats[i, 2], v_quats[i, 3] = (gy - along * y) / norm, (gz - along * z) / norm


@njit(**INLINE)
@no_type_check
def _covariance_gradient(xx, xy, yy, g_xx, g_xy, g_yy):
    """From the inverse covariance to the covariance: −Σ⁻¹ G Σ⁻¹; the last but one counts both off-diagonals."""
    half = 0.5 * g_xy
    a, b = xx * g_xx + xy * half, xx * half + xy * g_yy
    c, d = xy * g_xx + yy * half, xy * half + yy * g_yy
    return -(a * xx + b * xy), -2.0 * (a * xy + b * yy), -(c * xy + d * yy)


@njit(**INLINE)
@no_type_check
def _axes_gradient(axes, x, y, z, u, v, cam, g_xx, g_xy, g_yy, v_axes):
    """Write the gradient by the scaled axes; return that by the centre through the Jacobian."""
    fx, fy = cam[INTRINSICS] / z, cam[INTRINSICS + 1] / z
    g_u, g_v, g_scale = 0.0, 0.0, 0.0
    for j in range(3):
        p, q = fx * (axes[j] - u * axes[6 + j]), fy * (axes[3 + j] - v * axes[6 + j])
        g_p, g_q = 2.0 * g_xx * p + g_xy * q, 2.0 * g_yy * q + g_xy * p
        v_axes[j], v_axes[3 + j] = fx * g_p, fy * g_q
        v_axes[6 + j] = -fx * u * g_p - fy * v * g_q
        g_u -= fx * g_p * axes[6 + j]
        g_v -= fy * g_q * axes[6 + j]
        g_scale += g_p * p + g_q * q
    g_x, g_y, g_z = 0.0, 0.0, -g_scale / z
    if cam[LIMITS] < u < cam[LIMITS + 1]:  # not clamped
        g_x = g_u / z
        g_z -= g_u * u / z
    if cam[LIMITS + 2] < v < cam[LIMITS + 3]:
        g_y = g_v / z
        g_z -= g_v * v / z
    return g_x, g_y, g_z


@njit(**INLINE)
@no_type_check
def _colour_gradient(means, sh, g, i, degree, cam, moments, basis, weights, v_sh, v_means, v_cam):
    """Into the coefficients and, through the viewing direction, into the centre and the camera's position."""
    g_red = moments[G_RED] if g[i, RED] > 0.0 else 0.0
    g_green = moments[G_GREEN] if g[i, RED + 1] > 0.0 else 0.0
    g_blue = moments[G_BLUE] if g[i, RED + 2] > 0.0 else 0.0
    dx, dy, dz, inverse = 0.0, 0.0, 1.0, 1.0
    if degree > 0:
        dx = float(means[i, 0]) - cam[POSITION]
        dy = float(means[i, 1]) - cam[POSITION + 1]
        dz = float(means[i, 2]) - cam[POSITION + 2]
        inverse = 1.0 / max(math.sqrt(dx * dx + dy * dy + dz * dz), 1e-12)
        dx, dy, dz = dx * inverse, dy * inverse, dz * inverse
    harmonics(dx, dy, dz, degree, basis)
    for k in range((degree + 1) ** 2):
        v_sh[i, k, 0], v_sh[i, k, 1], v_sh[i, k, 2] = basis[k] * g_red, basis[k] * g_green, basis[k] * g_blue
        weights[k] = g_red * sh[i, k, 0] + g_green * sh[i, k, 1] + g_blue * sh[i, k, 2]
    if degree > 0:
        gx, gy, gz = harmonics_gradient(dx, dy, dz, degree, weights)
        along = gx * dx + gy * dy + gz * dz
        gx, gy, gz = (gx - along * dx) * inverse, (gy - along * dy) * inverse, (gz - along * dz) * inverse
        v_means[i, 0] += gx
        v_means[i, 1] += gy
        v_means[i, 2] += gz
        v_cam[12] -= gx
        v_cam[13] -= gy
        v_cam[14] -= gz


@njit(**INLINE)
@no_type_check
def _geometry_gradient(means, quats, scales, g, i, cam, moments, g_depth, work, v_means, v_quats, v_scales, v_cam):
    """Through the projected ellipse into centre, rotation, scales and camera."""
    rotation, axes, v_axes, v_rotation = work[0], work[1], work[2], work[3]
    x, y, z = to_camera(means, i, cam)
    qw, qx, qy, qz = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    norm = math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    qw, qx, qy, qz = qw / norm, qx / norm, qy / norm, qz / norm
    rotation_of(qw, qx, qy, qz, rotation)
    own_axes(scales, i, cam, rotation, axes)
    u, v = slopes(x, y, z, cam)
    g_xx, g_xy, g_yy = _covariance_gradient(
        float(g[i, CONIC_XX]),
        float(g[i, CONIC_XY]),
        float(g[i, CONIC_YY]),
        moments[G_XX],
        moments[G_XY],
        moments[G_YY],
    )
    g_x, g_y, g_z = _axes_gradient(axes, x, y, z, u, v, cam, g_xx, g_xy, g_yy, v_axes)
    along_x, along_y = moments[G_X] * cam[INTRINSICS] / z, moments[G_Y] * cam[INTRINSICS + 1] / z
    g_x, g_y, g_z = g_x + along_x, g_y + along_y, g_z - (along_x * x + along_y * y) / z + g_depth
    for j in range(3):
        v_means[i, j] = cam[j] * g_x + cam[3 + j] * g_y + cam[6 + j] * g_z
        v_cam[j] += g_x * means[i, j]
        v_cam[3 + j] += g_y * means[i, j]
        v_cam[6 + j] += g_z * means[i, j]
    v_cam[9] += g_x
    v_cam[10] += g_y
    v_cam[11] += g_z
    for column in range(3):
        s, g_s = float(scales[i, column]), 0.0
        for row in range(3):
            back = cam[row] * v_axes[column] + cam[3 + row] * v_axes[3 + column] + cam[6 + row] * v_axes[6 + column]
            g_s += back * rotation[3 * row + column]
            v_rotation[3 * row + column] = back * s
            for k in range(3):
                v_cam[3 * k + row] += v_axes[3 * k + column] * rotation[3 * row + column] * s
        v_scales[i, column] = g_s
    _quat_gradient(v_rotation, qw, qx, qy, qz, norm, v_quats, i)


@njit(**OPTIONS)
@no_type_check
def project_backward(
    worker, num_workers, means, quats, scales, sh, degree, cam, g, firsts, slots, rows, depth_column,
    v_means2d, v_means, v_quats, v_scales, v_opacities, v_sh, v_extras, v_cams,
):  # fmt: skip
    """Gradients of one worker's Gaussians from the moments of the (Gaussian, tile) pairs.

    Args:
        worker, num_workers: Chunks of Gaussians are dealt round-robin.
        means, quats, scales, sh, degree, cam, g: As in ``project``.
        firsts, slots: From ``bin_into_tiles``.
        rows: From ``rasterize_backward`` [pairs, GRADIENTS + E].
        depth_column: Column of ``rows`` with the gradient of depth; −1 where depth has none.
        v_means2d … v_extras: Gradients to write, all zero before.
        v_cams: Parts of the camera's gradient to write [CHUNKS, CAMERA_GRADIENTS], all zero before.
    """
    n, width = means.shape[0], rows.shape[1]
    for chunk in range(worker, CHUNKS, num_workers):
        moments, basis, weights = np.empty(width), np.empty(16), np.empty(16)
        work = np.empty((4, 9))
        v_cam = v_cams[chunk]
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            if firsts[i] == firsts[i + 1]:
                continue
            for c in range(width):
                moments[c] = 0.0
            for slot in range(firsts[i], firsts[i + 1]):
                for c in range(width):
                    moments[c] += rows[slots[slot], c]
            g_depth = moments[depth_column] if depth_column >= 0 else 0.0
            _geometry_gradient(
                means, quats, scales, g, i, cam, moments, g_depth, work, v_means, v_quats, v_scales, v_cam
            )
            _colour_gradient(means, sh, g, i, degree, cam, moments, basis, weights, v_sh, v_means, v_cam)
            v_means2d[i, 0], v_means2d[i, 1] = moments[G_X], moments[G_Y]
            v_opacities[i] = moments[G_OPACITY]
            for c in range(v_extras.shape[1]):
                v_extras[i, c] = moments[GRADIENTS + c]
