"""CPU kernels of diagonal fusion, float32: bound, exponential, moments and weights of a stream in one pass.

In torch the same takes about twenty passes over memory and most of a training step. Work is dealt out by latent row, so
one thread and many give the same bits. `no_type_check` keeps the tests' type checker away, which would hand numba a
wrapped function.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit, prange

from ua3dtalk.core.lanes import exp_of_remainder

_FAST = {"contract", "nsz"}
_BLOCK = 1024  # keeps a block's rows of all members in the first-level cache


@njit(inline="always", cache=True, error_model="numpy")
@no_type_check
def _exp(x):
    """e^x for |x| ≤ 80 within 2 ulp: 2^k times a polynomial; written out because libm's is not vectorised."""
    k = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    return exp_of_remainder(x, k) * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(inline="always", cache=True, error_model="numpy")
@no_type_check
def _tanh_of_eighth(raw):
    """tanh(raw / 8) within 2e-7; the comparisons let NaN through."""
    x = raw * np.float32(0.25)
    x = np.float32(40) if x > np.float32(40) else x
    x = np.float32(-40) if x < np.float32(-40) else x
    return np.float32(1) - np.float32(2) / (np.float32(1) + _exp(x))


@njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def accumulate(output, mean, precision, weighted, total):
    """Fill a stream's `mean` and `precision` [D, N]; add p·m to `weighted` and p to `total`."""
    members, rows, n = output.shape
    latent = rows // 2
    one = np.float32(1)
    share = one / np.float32(members)
    spread_share = one / np.float32(max(members - 1, 1))
    for d in prange(latent):
        variance = np.empty(_BLOCK, np.float32)
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            m, p = mean[d, start:stop], precision[d, start:stop]
            v = variance[: stop - start]
            m[:] = np.float32(0)
            v[:] = np.float32(0)
            for t in range(members):
                mu, raw = output[t, d, start:stop], output[t, latent + d, start:stop]
                for i in range(stop - start):
                    m[i] += mu[i] * share
                    v[i] += _exp(np.float32(8) * _tanh_of_eighth(raw[i])) * share
            if members > 1:
                for t in range(members):
                    mu = output[t, d, start:stop]
                    for i in range(stop - start):
                        e = mu[i] - m[i]
                        v[i] += e * e * spread_share
            w, s = weighted[d, start:stop], total[d, start:stop]
            for i in range(stop - start):
                q = one / v[i]
                p[i] = q
                s[i] += q
                w[i] += q * m[i]


@njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
@no_type_check
def accumulate_backward(output, mean, precision, fused, shared, to_total, gradient):
    """Fill `gradient` [M, 2D, N] of a stream from `shared` [D, N] = dL/dz / P and `to_total` = dL/dP (DESIGN §7)."""
    members, rows, n = output.shape
    latent = rows // 2
    one = np.float32(1)
    share = one / np.float32(members)
    spread_share = np.float32(2) / np.float32(max(members - 1, 1))
    for d in prange(latent):
        to_mean_row, to_variance_row = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            m, p = mean[d, start:stop], precision[d, start:stop]
            z, q, total = fused[d, start:stop], shared[d, start:stop], to_total[d, start:stop]
            to_mean, to_variance = to_mean_row[: stop - start], to_variance_row[: stop - start]
            for i in range(stop - start):
                to_mean[i] = p[i] * q[i] * share
                to_variance[i] = -p[i] * p[i] * (q[i] * (m[i] - z[i]) + total[i])
            for t in range(members):
                mu, raw = output[t, d, start:stop], output[t, latent + d, start:stop]
                g_mu, g_raw = gradient[t, d, start:stop], gradient[t, latent + d, start:stop]
                for i in range(stop - start):
                    bounded = _tanh_of_eighth(raw[i])
                    slope = one - bounded * bounded
                    g_raw[i] = to_variance[i] * share * slope * _exp(np.float32(8) * bounded)
                    g_mu[i] = to_mean[i] + spread_share * to_variance[i] * (mu[i] - m[i])
