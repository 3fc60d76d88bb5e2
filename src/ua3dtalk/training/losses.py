"""The losses by name. Every term is reported; weights are in ``LossConfig``."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.branch import Motion
from ua3dtalk.training.config import LossConfig
from ua3dtalk.training.photometric import photometric_loss
from ua3dtalk.training.targets import FrameTarget


def image_losses(
    rgb: Float[Tensor, "h w 3"],
    alpha: Float[Tensor, "h w"],
    target: FrameTarget,
    background: Float[Tensor, " 3"],
    config: LossConfig,
) -> dict[str, Tensor]:
    """Photometric and alpha terms over a plain background of random colour.

    The random colour makes every half-transparent pixel inside the region visible, and every Gaussian outside it too.

    Args:
        rgb: Rendered colour, premultiplied.
        alpha: Rendered coverage.
        target: The frame.
        background: Colour of this step, [0, 1].
        config: Weights.
    """
    image = rgb + (1 - alpha)[..., None] * background
    wanted = target.image * target.mask + (1 - target.mask) * background
    return {
        "photometric": photometric_loss(image, wanted, target.weight, config.dssim),
        "alpha": config.alpha * (alpha - target.mask[..., 0]).abs().mean(),
    }


def mouth_losses(
    rgb: Float[Tensor, "h w 3"],
    alpha: Float[Tensor, "h w"],
    target: FrameTarget,
    background: Float[Tensor, " 3"],
    config: LossConfig,
) -> dict[str, Tensor]:
    """The same inside the inner mouth only: what the lips hide in this frame is not judged by it."""
    image = (rgb + (1 - alpha)[..., None] * background) * target.mask + (1 - target.mask) * background
    wanted = target.image * target.mask + (1 - target.mask) * background
    return {"photometric": photometric_loss(image, wanted, None, config.dssim)}


def motion_losses(motion: Motion, config: LossConfig) -> dict[str, Tensor]:
    """Small motion, and gates that stay where they belong."""
    moved = motion.residual.abs().mean()
    terms = {"motion": config.motion * moved}
    if motion.gate_penalty is not None:
        terms["gates"] = config.gates * motion.gate_penalty
    return terms


def likelihood_loss(
    residual: Float[Tensor, "h w"],
    deviation: Float[Tensor, "h w"],
    alpha: Float[Tensor, "h w"],
    config: LossConfig,
) -> Tensor:
    """Laplace likelihood ``|r| / b + log b`` of the image error, error detached: it only fixes the scale of b."""
    b = deviation / alpha.clamp_min(1e-3) + 1e-2
    inside = (alpha > 0.5).detach().float()
    return config.likelihood * ((residual.detach() / b + b.log()) * inside).sum() / inside.sum().clamp_min(1.0)


def check_finite(terms: dict[str, Tensor]) -> None:
    """Stop before the optimizer does damage.

    Raises:
        FloatingPointError: a loss is not finite; the message names it.
    """
    bad = [name for name, value in terms.items() if not bool(torch.isfinite(value))]
    if bad:
        raise FloatingPointError(f"Loss {', '.join(bad)} is not finite; the last good checkpoint is kept.")
