"""Precision-weighted fusion with the ensembles' full covariances: one small symmetric system per Gaussian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar import fusion_full_kernels
from ua3dtalk.avatar.fusion_diagonal import LOG_VARIANCE_BOUND, bounded_log_variance, is_fast
from ua3dtalk.avatar.fusion_full_lanes import rows_of
from ua3dtalk.core.lanes import LANES


def helmert(members: int, like: Tensor) -> Tensor:
    """[M, M]: row 0 averages the members; the others are contrasts c_k, Σ_k c_k c_kᵀ the unbiased covariance."""
    rows = torch.zeros(members, members, dtype=torch.float64)
    rows[0] = 1 / members
    for k in range(1, members):
        rows[k, :k] = 1.0
        rows[k, k] = -k
        rows[k] /= math.sqrt(k * (k + 1) * (members - 1))
    return rows.to(like)


def fuse_full(outputs: Sequence[Float[Tensor, "m two_d n"]]) -> Float[Tensor, "d n"]:
    """z = (Σ Σ_s⁻¹)⁻¹ Σ Σ_s⁻¹ m_s with Σ_s = diag(aleatoric) + unbiased ensemble covariance (the paper's rule).

    No D×D matrix is formed: by the Woodbury identity it takes one S(M-1) × S(M-1) system per Gaussian whose eigenvalues
    are all ≥ 1, so that it needs no jitter (formulas in DESIGN §7). The backward pass reuses the factor.
    The numba kernels do it on a CPU in float32; plain torch, the same numbers, for float64 and on accelerators.

    Args:
        outputs: Per present stream, D rows of means and D rows of raw log variances; at least two members each.

    Returns:
        The fused latent, differentiable with respect to all outputs.

    Raises:
        ValueError: with one member, which has no covariance.
    """
    if len(outputs[0]) < 2:
        raise ValueError("Full covariance needs at least 2 members per stream, got 1.")
    if not all(is_fast(output) for output in outputs) or outputs[0].shape[-1] == 0:
        return _FuseFull.apply(*outputs)
    missing = max(LANES - outputs[0].shape[-1], 0)  # the kernels work on whole vectors
    if missing:
        padded = [torch.nn.functional.pad(output, (0, missing)) for output in outputs]
        return _FuseFullFast.apply(*padded)[:, :-missing]
    return _FuseFullFast.apply(*outputs)


def _points_first(x: Tensor) -> Tensor:
    """[S, D, N] → [N, S, D], contiguous for batched products."""
    return x.permute(2, 0, 1).contiguous()


@dataclass(frozen=True)
class _Solved:
    """What the backward pass needs."""

    fused: Tensor
    mean: Tensor
    precision: Tensor
    total: Tensor
    factors: Tensor
    """A_s = U_sᵀ diag(√p_s), [N, S, R, D]."""
    lower: Tensor
    alpha: Tensor


class _FuseFullFast(torch.autograd.Function):
    """The kernels. Large arrays are numpy's, which asks for huge pages: a third of the backward pass otherwise."""

    @staticmethod
    def forward(ctx: Any, *outputs: Tensor) -> Tensor:
        outputs = tuple(output.contiguous() for output in outputs)
        members, two_d, n = outputs[0].shape
        shape = (len(outputs), members, two_d // 2, n)
        rows, padded = rows_of(shape), -(-n // LANES) * LANES
        sizes = len(outputs) * (two_d // 2) * n, rows * (rows + 1) // 2 * padded, rows * padded
        precision, lower, alpha = (np.empty(size, np.float32) for size in sizes)
        fused = outputs[0].new_empty(two_d // 2, n)
        fusion_full_kernels.forward(_addresses(outputs), shape, precision, lower, alpha, fused.numpy().reshape(-1))
        ctx.kept = precision, lower, alpha
        ctx.save_for_backward(fused, *outputs)
        return fused

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, ...]:
        fused, *outputs = ctx.saved_tensors
        members, two_d, n = outputs[0].shape
        latents = np.stack([fused.detach().numpy(), grad_outputs[0].detach().numpy()])
        gradients = tuple(torch.from_numpy(np.empty(output.shape, np.float32)) for output in outputs)
        shape = (len(outputs), members, two_d // 2, n)
        addresses = _addresses(outputs), _addresses(gradients)
        fusion_full_kernels.backward(*addresses, shape, ctx.kept, latents.reshape(-1))
        return gradients


def _addresses(tensors: Sequence[Tensor]) -> np.ndarray:
    """Of contiguous float32 tensors, which the caller keeps alive."""
    return np.array([tensor.data_ptr() for tensor in tensors], np.int64)


class _FuseFull(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *outputs: Tensor) -> Tensor:
        ctx.solved = _solve(outputs)
        ctx.save_for_backward(*outputs)
        return ctx.solved.fused.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, ...]:
        gradients = tuple(torch.empty_like(output) for output in ctx.saved_tensors)
        _pull(grad_outputs[0], ctx.solved, list(zip(ctx.saved_tensors, gradients, strict=True)))
        return gradients


def _solve(outputs: Sequence[Tensor]) -> _Solved:
    """Forward (formulas in DESIGN §7)."""
    members, rows, n = outputs[0].shape
    streams, latent, rank = len(outputs), rows // 2, members - 1
    contrasts = helmert(members, outputs[0])
    precision = torch.stack([bounded_log_variance(o[:, latent:]).exp_().mean(0) for o in outputs]).reciprocal_()
    root = precision.sqrt()  # [S, D, N]
    mean = torch.empty_like(precision)
    factors = precision.new_empty(n, streams, rank, latent)
    for s, output in enumerate(outputs):
        turned = (contrasts @ output[:, :latent].reshape(members, -1)).view(members, latent, n)
        mean[s] = turned[0]
        factors[:, s] = (turned[1:] * root[s]).permute(2, 0, 1)
    total = precision.sum(0)
    first = (precision * mean).sum(0) / total  # z₀
    share = _points_first(root * total.rsqrt())  # √(p_s / P)
    stacked = (factors * share.unsqueeze(2)).view(n, streams * rank, latent)  # Y
    system = torch.bmm(stacked, stacked.transpose(1, 2)).neg_()
    flat = factors.view(n * streams, rank, latent)
    own = torch.bmm(flat, flat.transpose(1, 2)).view(n, streams, rank, rank)
    blocks = system.view(n, streams, rank, streams, rank)
    for s in range(streams):
        blocks[:, s, :, s] += own[:, s]
    system.diagonal(dim1=1, dim2=2).add_(1.0)
    residual = _points_first(root * (first - mean)).view(n * streams, latent, 1)
    right = torch.bmm(flat, residual).view(n, streams * rank, 1)
    lower = torch.linalg.cholesky_ex(system)[0]
    alpha = torch.cholesky_solve(right, lower)
    fused = first + torch.bmm(alpha.transpose(1, 2), stacked).squeeze(1).t() * total.rsqrt()
    return _Solved(fused, mean, precision, total, factors, lower, alpha)


def _pull(gradient: Tensor, solved: _Solved, parts: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Backward: `parts` are outputs of the streams, and the gradients to fill."""
    n, streams, rank, latent = solved.factors.shape
    members, root = rank + 1, solved.precision.sqrt()
    contrasts = helmert(members, solved.fused)
    flat = solved.factors.view(n * streams, rank, latent)
    direct = gradient / solved.total
    right = torch.bmm(flat, _points_first(root * direct).view(n * streams, latent, 1))
    beta = torch.cholesky_solve(right.view(n, streams * rank, 1), solved.lower)
    both = torch.stack([solved.alpha.view(-1, rank), beta.view(-1, rank)], dim=1)  # [N·S, 2, R]
    # p_s U_s α_s and p_s U_s b_s
    pulled = torch.bmm(both, flat).view(n, streams, 2, latent).permute(2, 1, 3, 0) * root
    q = direct + pulled[1].sum(0) / solved.total
    r = solved.precision * q - pulled[1]
    w = solved.precision * (solved.mean - solved.fused) + pulled[0]
    alphas = solved.alpha.view(n, streams, rank).permute(1, 2, 0).contiguous()  # [S, R, N]
    betas = beta.view(n, streams, rank).permute(1, 2, 0).contiguous()
    for s, (output, result) in enumerate(parts):
        turned = r.new_empty(members, latent, n)
        turned[0] = r[s]
        torch.mul(alphas[s].unsqueeze(1), r[s], out=turned[1:])
        turned[1:].addcmul_(betas[s].unsqueeze(1), w[s], value=-1.0)
        result[:, :latent] = (contrasts.t() @ turned.view(members, -1)).view(members, latent, n)
        bounded = torch.tanh(output[:, latent:] * (1 / LOG_VARIANCE_BOUND))
        slope = 1 - bounded.square()
        result[:, latent:] = (bounded * LOG_VARIANCE_BOUND).exp_().mul_(slope).mul_(r[s] * w[s] * (-1 / members))
