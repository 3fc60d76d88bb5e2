"""CPU kernels of fusion with full covariances, float32: sixteen Gaussians side by side, one in each lane (DESIGN §7).

Nothing is transposed: Gaussians are contiguous in the ensembles' outputs, and all that is made of them, the factors Y,
the system K, its Cholesky factor, has the lane as its last axis. Blocks of four groups of sixteen are dealt out to
threads. No lane hears of another, so one thread and many give the same bits, and the last group may overlap the one
before where the number of Gaussians is no multiple of sixteen. A block's rows are copied before they are worked on:
while arithmetic waits for memory that is far apart, no further memory is asked for (it was 2.5 times slower).

Flat arrays by group are kept for the backward pass: `precision` [groups, S, D, 16], `alpha` [groups, R, 16], `lower`
[groups, R(R+1)/2, 16], its diagonal inverted. `addresses` are those of the contiguous [M, 2D, N] arrays of the streams;
other names as in `fusion_full_lanes`.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit, prange

from ua3dtalk.avatar import fusion_full_lanes as lane_wise
from ua3dtalk.avatar.fusion_full_lanes import rows_of, tanh_of_eighth
from ua3dtalk.core.lanes import LANES, exp, load, store

_FAST = {"contract", "nsz"}
_BOUND = np.float32(8)
"""`fusion_diagonal.LOG_VARIANCE_BOUND`."""
_CHUNK = 64
"""Groups of a row that are worked on at a time, for all members."""
_GROUPS = 4
"""Groups of a block: 256 bytes of a row at a time, and all its factors fit the second-level cache."""


@njit(inline="always")
@no_type_check
def _part(array, index, size):
    return array[index * size : (index + 1) * size]


@njit(inline="always")
@no_type_check
def _sizes(shape, block):
    """R, a block's groups, and the sizes in a group of [S, D, 16], Y, a triangle, and one stream's means [M, D, 16]."""
    streams, members, latent, n = shape
    rows = rows_of(shape)
    groups = min(_GROUPS, (n + LANES - 1) // LANES - block * _GROUPS)
    sizes = streams * latent * LANES, rows * latent * LANES, rows * (rows + 1) // 2 * LANES, members * latent * LANES
    return rows, groups, sizes


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def row_of_precision(address, shape, d, precision):
    """1 / mean_t exp ℓ_t of a stream's latent row `d`, in steps that keep in the first-level cache."""
    _, members, latent, n = shape
    sums = np.empty(_CHUNK * LANES, np.float32)
    groups = (n + LANES - 1) // LANES
    for start in range(0, groups, _CHUNK):
        stop = min(start + _CHUNK, groups)
        for t in range(members):
            row = ((t * 2 + 1) * latent + d) * n
            for group in range(start, stop):
                at = (group - start) * LANES
                variance = exp(tanh_of_eighth(load(address, row + min(group * LANES, n - LANES))) * _BOUND)
                store(sums, at, variance if t == 0 else load(sums, at) + variance)
        for group in range(start, stop):
            store(precision, min(group * LANES, n - LANES), np.float32(members) / load(sums, (group - start) * LANES))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def row_of_gradient(addresses, shape, d, pulled, weights):
    """A stream's gradient, latent row `d`: r α - w β of the means, -r w / M · d exp ℓ / d raw of the log variances.

    `pulled` are the rows r and w [N], `weights` α and β [M, N] of its members.
    """
    _, members, latent, n = shape
    output, target = addresses
    r, w = pulled
    alphas, betas = weights
    groups = (n + LANES - 1) // LANES
    for start in range(0, groups, _CHUNK):
        stop = min(start + _CHUNK, groups)
        for t in range(members):
            row = (t * 2 * latent + d) * n
            for group in range(start, stop):
                at = min(group * LANES, n - LANES)
                value = load(r, at) * load(alphas, t * n + at) - load(w, at) * load(betas, t * n + at)
                store(target, row + at, value)
            row += latent * n
            for group in range(start, stop):
                at = min(group * LANES, n - LANES)
                bounded = tanh_of_eighth(load(output, row + at))
                slope = (np.float32(1) - bounded * bounded) * np.float32(-1 / members)
                store(target, row + at, load(r, at) * load(w, at) * slope * exp(bounded * _BOUND))


@njit(cache=True)
@no_type_check
def gather(address, shape, stride, block, out):
    """A block's D rows of some arrays [·, `stride`, N], as many as `shape[1]`, into `out` [groups, ·, D, 16]."""
    _, count, latent, n = shape
    groups = min(_GROUPS, (n + LANES - 1) // LANES - block * _GROUPS)
    for t in range(count):
        for d in range(latent):
            for g in range(groups):
                column = min((block * _GROUPS + g) * LANES, n - LANES)
                store(out, ((g * count + t) * latent + d) * LANES, load(address, (t * stride + d) * n + column))


@njit(cache=True)
@no_type_check
def scatter(values, rows, n, block, out):
    """A block's rows [groups, rows, 16] into their columns of `out` [rows, N]."""
    groups = min(_GROUPS, (n + LANES - 1) // LANES - block * _GROUPS)
    for i in range(rows):
        for g in range(groups):
            column = min((block * _GROUPS + g) * LANES, n - LANES)
            store(out, i * n + column, load(values, (g * rows + i) * LANES))


@njit(cache=True)
@no_type_check
def factors_of(addresses, shape, block, precision, buffers):
    """Fill `buffers`: Y, the means and the precisions [S, D] of a block's groups."""
    streams, _, latent, _ = shape
    _, groups, (wide, tall, _, members) = _sizes(shape, block)
    factors, means, precisions = buffers
    gather(precision, (1, streams, latent, shape[3]), latent, block, precisions)
    copied = np.empty(_GROUPS * members, np.float32)
    for s in range(streams):
        gather(addresses[s], shape, 2 * latent, block, copied)
        for g in range(groups):
            y, mean = _part(factors, g, tall), _part(means, g, wide)
            lane_wise.contrasts(_part(copied, g, members), shape, s, y, mean)
    for g in range(groups):
        lane_wise.scale(shape, _part(precisions, g, wide), _part(factors, g, tall))


@njit(cache=True)
@no_type_check
def forward_block(addresses, shape, block, precision, lower, alpha, fused):
    """A block's latents into `fused` [D, N]; its factor and solutions into `lower` and `alpha`."""
    _, _, latent, n = shape
    rows, groups, (wide, tall, triangle, _) = _sizes(shape, block)
    factors, means = np.empty(_GROUPS * tall, np.float32), np.empty(_GROUPS * wide, np.float32)
    precisions, work = np.empty_like(means), np.empty(2 * wide + latent * LANES, np.float32)
    found = np.empty(_GROUPS * latent * LANES, np.float32)
    factors_of(addresses, shape, block, precision, (factors, means, precisions))
    for g in range(groups):
        group = block * _GROUPS + g
        system = _part(lower, group, triangle), _part(alpha, group, rows * LANES)
        p, mean, y = _part(precisions, g, wide), _part(means, g, wide), _part(factors, g, tall)
        lane_wise.fuse_group(shape, p, mean, y, system, _part(found, g, latent * LANES), work)
    scatter(found, latent, n, block, fused)


@njit(cache=True)
@no_type_check
def backward_block(addresses, shape, block, kept, latents, pulled, weights):
    """A block's rows r and w into `pulled`, its members' α and β into `weights`; `latents` are z and its gradient."""
    streams, members, latent, n = shape
    precision, lower, alpha = kept
    rows, groups, (wide, tall, triangle, _) = _sizes(shape, block)
    factors, means = np.empty(_GROUPS * tall, np.float32), np.empty(_GROUPS * wide, np.float32)
    precisions, both = np.empty_like(means), np.empty(_GROUPS * 2 * latent * LANES, np.float32)
    r, w = np.zeros_like(means), np.zeros_like(means)
    beta, own = np.empty(rows * LANES, np.float32), members * LANES
    of_alpha = np.empty(_GROUPS * streams * own, np.float32)
    of_beta = np.empty_like(of_alpha)
    factors_of(addresses, shape, block, precision, (factors, means, precisions))
    gather(latents, (1, 2, latent, n), latent, block, both)
    for g in range(groups):
        group = block * _GROUPS + g
        y, p, x = _part(factors, g, tall), _part(precisions, g, wide), _part(alpha, group, rows * LANES)
        here, to = _part(both, g, 2 * latent * LANES), (_part(r, g, wide), _part(w, g, wide))
        lane_wise.pull_group(shape, p, y, _part(lower, group, triangle), (x, beta), here, to)
        lane_wise.to_streams(shape, p, _part(means, g, wide), here, to[0], to[1])
        for s in range(streams):
            lane_wise.member_weights(x, shape, s, 1 / members, _part(of_alpha, g * streams + s, own))
            lane_wise.member_weights(beta, shape, s, 0.0, _part(of_beta, g * streams + s, own))
    for i, values in enumerate((r, w)):
        scatter(values, streams * latent, n, block, _part(pulled, i, streams * latent * n))
    for i, values in enumerate((of_alpha, of_beta)):
        scatter(values, streams * members, n, block, _part(weights, i, streams * members * n))


@njit(parallel=True, cache=True)
@no_type_check
def forward(addresses, shape, precision, lower, alpha, fused):
    """Fill `precision`, `lower`, `alpha` and `fused` [D, N] from the outputs at `addresses` [S]. N is at least 16."""
    _, _, latent, n = shape
    for i in prange(shape[0] * latent):
        row_of_precision(addresses[i // latent], shape, i % latent, _part(precision, i, n))
    for block in prange((n + _GROUPS * LANES - 1) // (_GROUPS * LANES)):
        forward_block(addresses, shape, block, precision, lower, alpha, fused)


@njit(parallel=True, cache=True)
@no_type_check
def backward(addresses, targets, shape, kept, latents):
    """Fill the outputs' gradients at `targets` [S]; `kept` are precision, lower and alpha, `latents` z and dL/dz."""
    streams, members, latent, n = shape
    pulled, weights = np.empty(2 * streams * latent * n, np.float32), np.empty(2 * streams * members * n, np.float32)
    for block in prange((n + _GROUPS * LANES - 1) // (_GROUPS * LANES)):
        backward_block(addresses, shape, block, kept, latents, pulled, weights)
    for i in prange(streams * latent):
        s, rows = i // latent, (_part(pulled, i, n), _part(pulled, streams * latent + i, n))
        of_members = _part(weights, s, members * n), _part(weights, streams + s, members * n)
        row_of_gradient((addresses[s], targets[s]), shape, i % latent, rows, of_members)
