"""Fusing the streams' ensembles into one latent per Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.fusion_diagonal import fuse_diagonal
from ua3dtalk.avatar.fusion_full import fuse_full
from ua3dtalk.avatar.fusion_uniform import fuse_uniform

Covariance = Literal["diagonal", "full", "uniform"]
"""How the members' spread enters: their variances, their whole covariance (the paper's), or not at all (the ablation
of module U: every present stream weighs the same)."""

FusionMode = Literal["member", "ensemble"]
"""One drawn member per stream (early training), or all of them."""


def fuse(
    outputs: Sequence[Float[Tensor, "m two_d n"] | None], covariance: Covariance = "diagonal"
) -> Float[Tensor, "d n"]:
    """Fuse the streams by their precision (paper's module U, DESIGN §7), or evenly. Train and infer with the same rule.

    Args:
        outputs: Per stream, means over raw log variances of its members; None for a missing stream (precision 0).
        covariance: The rule. With one member "diagonal" and "full" are the same.

    Returns:
        The fused latent of every Gaussian.

    Raises:
        ValueError: when every stream is missing.
    """
    present = _present(outputs)
    if covariance == "uniform":
        return fuse_uniform(present)
    if covariance == "full" and len(present[0]) > 1:
        return fuse_full(present)
    return fuse_diagonal(present)[0]


def fuse_with_precision(
    outputs: Sequence[Float[Tensor, "m two_d n"] | None], covariance: Covariance = "diagonal"
) -> tuple[Float[Tensor, "d n"], Float[Tensor, "d n"]]:
    """The fused latent, and P = Σ p_s of the diagonal rule (whatever the covariance), both with gradient.

    Arguments and errors as for `fuse`.
    """
    present = _present(outputs)
    fused, precision = fuse_diagonal(present)
    return fused if covariance == "diagonal" else fuse(present, covariance), precision


def _present(outputs: Sequence[Tensor | None]) -> list[Tensor]:
    present = [output for output in outputs if output is not None]
    if not present:
        raise ValueError("Fusion needs at least one present stream, got none.")
    return present
