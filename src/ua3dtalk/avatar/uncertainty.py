"""What the ensembles know about their own doubt, per Gaussian and stream, and the likelihood that calibrates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.fusion_diagonal import moments


@dataclass(frozen=True, kw_only=True)
class MotionMaps:
    """Per-Gaussian values to splat as extra channels; columns of [N, S] follow `streams`. All are detached but
    `fused_deviation`, which carries the gradient of a likelihood term.

    A missing stream has zeros in every column. With one member (member mode) the epistemic parts are zero.
    """

    streams: tuple[str, ...]
    """Names of the columns."""
    aleatoric: Float[Tensor, "n s"]
    """Mean over the latent of the members' mean variance."""
    epistemic: Float[Tensor, "n s"]
    """Mean over the latent of the members' unbiased spread."""
    conflict: Float[Tensor, "n s"]
    """Mean over the latent of (m_s - z)² / v_s: a stream that is sure of something else."""
    trust: Float[Tensor, "n s"]
    """Mean over the latent of p_s / P; sums to 1 over the streams."""
    fused_aleatoric: Float[Tensor, " n"]
    """Σ ω_s² a_s with ω_s = p_s / P, averaged over the latent."""
    fused_epistemic: Float[Tensor, " n"]
    """Σ ω_s² e_s, averaged over the latent; the two sum to `fused_deviation`²."""
    fused_deviation: Float[Tensor, " n"]
    """√ of 1 / P averaged over the latent (the diagonal rule's, under either covariance), with gradient."""
    gates: Float[Tensor, "n g"]
    """Mean gate of the audio channels, and of the upper-face channels where the branch has them."""

    def stream_means(self) -> dict[str, dict[str, float]]:
        """Per stream: mean aleatoric, epistemic, conflict and trust over the Gaussians."""
        names = ("aleatoric", "epistemic", "conflict", "trust")
        table = torch.stack([getattr(self, name).mean(0) for name in names], dim=1).tolist()  # [S][4]
        return {stream: dict(zip(names, row, strict=True)) for stream, row in zip(self.streams, table, strict=True)}


def laplace_nll(
    deviation: Float[Tensor, "*shape"], residual: Float[Tensor, "*shape"], floor: float = 1e-3
) -> Float[Tensor, ""]:
    """Mean negative log likelihood of a residual under a Laplace distribution whose scale is deviation + floor.

    The residual is detached: the term moves the uncertainty, never the picture.

    Args:
        deviation: ≥ 0, for instance the splatted fused deviation.
        residual: Errors in the same place; their sign does not matter.
        floor: Smallest scale, keeps the term bounded where the deviation is zero.
    """
    scale = deviation + floor
    return (residual.detach().abs() / scale + torch.log(2 * scale)).mean()


def motion_maps(
    streams: tuple[str, ...],
    outputs: Sequence[Float[Tensor, "m two_d n"] | None],
    fused: tuple[Float[Tensor, "d n"], Float[Tensor, "d n"]],
    gates: Float[Tensor, "n g"],
) -> MotionMaps:
    """The maps of one frame (DESIGN §7, "What is shown").

    Args:
        streams: Names of the branch's streams.
        outputs: Per stream, its members' outputs; None for a missing stream.
        fused: The latent that fusion made of them, and its precision (`fuse_with_precision`).
        gates: Mean gates, passed through.
    """
    latent, precision = fused
    variance = precision.reciprocal()
    zero = torch.zeros_like(latent)
    stats = [(zero, zero, zero) if output is None else moments(output) for output in outputs]
    precisions = [
        zero if output is None else (aleatoric + epistemic).reciprocal()
        for output, (_, aleatoric, epistemic) in zip(outputs, stats, strict=True)
    ]
    shares = [p * variance.detach() for p in precisions]

    def columns(values: list[Tensor]) -> Tensor:
        return torch.stack([value.detach().mean(0) for value in values], dim=1)

    def fused_part(index: int) -> Tensor:
        parts = [(w * w * stat[index]).detach().mean(0) for w, stat in zip(shares, stats, strict=True)]
        return torch.stack(parts).sum(0)

    return MotionMaps(
        streams=streams,
        aleatoric=columns([stat[1] for stat in stats]),
        epistemic=columns([stat[2] for stat in stats]),
        conflict=columns([(stat[0] - latent.detach()).square() * p for stat, p in zip(stats, precisions, strict=True)]),
        trust=columns(shares),
        fused_aleatoric=fused_part(1),
        fused_epistemic=fused_part(2),
        fused_deviation=variance.mean(0).sqrt(),
        gates=gates.detach(),
    )
