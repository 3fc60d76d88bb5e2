"""Precision-weighted fusion with diagonal covariances, with an analytic backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

LOG_VARIANCE_BOUND = 8.0
"""Raw log variances pass through 8·tanh(·/8): a variance can neither vanish nor explode."""


def bounded_log_variance(raw: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """8·tanh(raw/8)."""
    return torch.tanh(raw * (1 / LOG_VARIANCE_BOUND)) * LOG_VARIANCE_BOUND


def moments(
    output: Float[Tensor, "m two_d n"],
) -> tuple[Float[Tensor, "d n"], Float[Tensor, "d n"], Float[Tensor, "d n"]]:
    """Mean, aleatoric variance (mean of exp ℓ) and epistemic variance (unbiased; 0 for one member) of a stream.

    Mean and squared sum instead of `torch.var_mean(dim=0)`, which is 13 times slower on a CPU.
    """
    latent = output.shape[1] // 2
    means = output[:, :latent]
    aleatoric = bounded_log_variance(output[:, latent:]).exp().mean(0)
    mean = means.mean(0)
    if len(output) == 1:
        return mean, aleatoric, torch.zeros_like(mean)
    return mean, aleatoric, (means - mean).square().sum(0) / (len(output) - 1)


def fuse_diagonal(outputs: Sequence[Float[Tensor, "m two_d n"]]) -> Float[Tensor, "d n"]:
    """z = Σ p_s m_s / Σ p_s with p_s = 1 / (aleatoric + epistemic); one member gives p = exp(-ℓ) (DESIGN §7).

    Args:
        outputs: Per present stream, D rows of means and D rows of raw log variances.

    Returns:
        The fused latent, differentiable with respect to all outputs.
    """
    return _FuseDiagonal.apply(*outputs)


class _FuseDiagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *outputs: Tensor) -> Tensor:
        latent = outputs[0].shape[1] // 2
        stream_means, precisions = [], []
        weighted, total = torch.zeros(()), torch.zeros(())
        for output in outputs:
            mean, variance, epistemic = moments(output)
            precision = variance.add_(epistemic).reciprocal_()
            weighted = torch.addcmul(weighted.to(mean), precision, mean)
            total = total.to(mean) + precision
            stream_means.append(mean)
            precisions.append(precision)
        fused = weighted / total
        ctx.latent = latent
        ctx.save_for_backward(fused, total, *outputs, *stream_means, *precisions)
        return fused

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, ...]:
        gradient = grad_outputs[0]
        fused, total, *rest = ctx.saved_tensors
        streams, latent = len(rest) // 3, ctx.latent
        shared = gradient / total
        gradients = []
        for output, mean, precision in zip(
            rest[:streams], rest[streams : 2 * streams], rest[2 * streams :], strict=True
        ):
            members = len(output)
            to_mean = precision * shared
            to_variance = -to_mean * precision * (mean - fused)
            result = torch.empty_like(output)
            result[:, :latent] = to_mean / members
            if members > 1:
                result[:, :latent].addcmul_(output[:, :latent] - mean, to_variance, value=2 / (members - 1))
            bounded = torch.tanh(output[:, latent:] * (1 / LOG_VARIANCE_BOUND))
            slope = 1 - bounded.square()
            torch.mul((bounded * LOG_VARIANCE_BOUND).exp_().mul_(slope), to_variance / members, out=result[:, latent:])
            gradients.append(result)
        return tuple(gradients)
