"""Precision-weighted fusion with diagonal covariances, with an analytic backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar import fusion_kernels

LOG_VARIANCE_BOUND = 8.0
"""Raw log variances pass through 8·tanh(·/8): a variance can neither vanish nor explode."""


def bounded_log_variance(raw: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """8·tanh(raw/8)."""
    return torch.tanh(raw * (1 / LOG_VARIANCE_BOUND)) * LOG_VARIANCE_BOUND


@torch.no_grad()
def moments(
    output: Float[Tensor, "m two_d n"],
) -> tuple[Float[Tensor, "d n"], Float[Tensor, "d n"], Float[Tensor, "d n"]]:
    """Mean, aleatoric variance (mean of exp ℓ) and epistemic variance (unbiased; 0 for one member), for the maps."""
    latent = output.shape[1] // 2
    scratch = torch.zeros_like(output[0, :latent])
    mean, precision = _accumulate(output.contiguous(), scratch, scratch.clone())
    epistemic = _spread(output[:, :latent], mean)
    return mean, (precision.reciprocal_() - epistemic).clamp_min_(0), epistemic


def _spread(means: Tensor, mean: Tensor) -> Tensor:
    """Unbiased variance over members. (`torch.var_mean(dim=0)` is 13 times slower on a CPU.)"""
    if len(means) == 1:
        return torch.zeros_like(mean)
    return (means - mean).square_().sum(0).div_(len(means) - 1)


def fuse_diagonal(
    outputs: Sequence[Float[Tensor, "m two_d n"]],
) -> tuple[Float[Tensor, "d n"], Float[Tensor, "d n"]]:
    """z = Σ p_s m_s / Σ p_s with p_s = 1 / (aleatoric + epistemic); one member gives p = exp(-ℓ) (DESIGN §7).

    Args:
        outputs: Per present stream, D rows of means and D rows of raw log variances.

    Returns:
        The fused latent and the fused precision P = Σ p_s, both differentiable with respect to all outputs.
    """
    return _FuseDiagonal.apply(*outputs)


def is_fast(output: Tensor) -> bool:
    """Whether the numba kernels take it."""
    return output.device.type == "cpu" and output.dtype == torch.float32


class _FuseDiagonal(torch.autograd.Function):
    """The numba kernels on a CPU in float32; plain torch, the same numbers, for float64 and on accelerators."""

    @staticmethod
    def forward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor]:
        outputs = tuple(output.contiguous() for output in outputs)
        _, rows, n = outputs[0].shape
        weighted, total = outputs[0].new_zeros(2, rows // 2, n)
        stats = [_accumulate(output, weighted, total) for output in outputs]
        fused = weighted.div_(total)
        ctx.streams = len(outputs)
        ctx.save_for_backward(fused, total, *outputs, *(mean for mean, _ in stats), *(p for _, p in stats))
        ctx.set_materialize_grads(False)
        return fused, total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, ...]:
        fused, total, *rest = ctx.saved_tensors
        s = ctx.streams
        to_fused, to_total = grad_outputs
        shared = torch.zeros_like(total) if to_fused is None else to_fused / total
        to_total = torch.zeros_like(total) if to_total is None else to_total
        streams = zip(rest[:s], rest[s : 2 * s], rest[2 * s :], strict=True)
        return tuple(_backward(output, mean, p, fused, shared, to_total) for output, mean, p in streams)


def _accumulate(output: Tensor, weighted: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and precision of a stream; adds its share to `weighted` and `total` in place."""
    if is_fast(output):
        mean, precision = torch.empty_like(weighted), torch.empty_like(weighted)
        arrays = (x.detach().numpy() for x in (output, mean, precision, weighted, total))
        fusion_kernels.accumulate(*arrays)
        return mean, precision
    latent = output.shape[1] // 2
    mean = output[:, :latent].mean(0)
    aleatoric = bounded_log_variance(output[:, latent:]).exp().mean(0)
    precision = (aleatoric + _spread(output[:, :latent], mean)).reciprocal()
    weighted.addcmul_(precision, mean)
    total.add_(precision)
    return mean, precision


def _backward(
    output: Tensor, mean: Tensor, precision: Tensor, fused: Tensor, shared: Tensor, to_total: Tensor
) -> Tensor:
    gradient = torch.empty_like(output)
    if is_fast(output):
        arrays = (x.detach().contiguous().numpy() for x in (output, mean, precision, fused, shared, to_total, gradient))
        fusion_kernels.accumulate_backward(*arrays)
        return gradient
    members, latent = len(output), output.shape[1] // 2
    to_mean = precision * shared
    to_variance = -precision.square() * (shared * (mean - fused) + to_total)
    gradient[:, :latent] = to_mean / members
    if members > 1:
        gradient[:, :latent].addcmul_(output[:, :latent] - mean, to_variance, value=2 / (members - 1))
    bounded = torch.tanh(output[:, latent:] * (1 / LOG_VARIANCE_BOUND))
    slope = 1 - bounded.square()
    torch.mul((bounded * LOG_VARIANCE_BOUND).exp_().mul_(slope), to_variance / members, out=gradient[:, latent:])
    return gradient
