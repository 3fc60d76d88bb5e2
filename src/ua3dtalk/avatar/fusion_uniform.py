"""Fusion without uncertainty: every present stream weighs the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def fuse_uniform(outputs: Sequence[Float[Tensor, "m two_d n"]]) -> Float[Tensor, "d n"]:
    """z = (1/S) Σ m_s: the mean over the streams of their members' mean. Variances take no part.

    This is the paper's ablation of module U. The paper does not say what stands in its place; a plain mean is the rule
    that keeps the streams and the heads as they are.

    Args:
        outputs: Per present stream, D rows of means and D rows of raw log variances, which are ignored.

    Returns:
        The fused latent, differentiable with respect to the means; raw log variances get a gradient of zero.
    """
    latent = outputs[0].shape[1] // 2
    return torch.stack([output[:, :latent].mean(0) for output in outputs]).mean(0)
