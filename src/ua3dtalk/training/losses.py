"""The losses by name. Every term is reported; weights are in ``LossConfig``."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.branch import Motion
from ua3dtalk.avatar.uncertainty import laplace_nll
from ua3dtalk.training.config import LossConfig
from ua3dtalk.training.photometric import photometric_loss
from ua3dtalk.training.targets import FrameTarget

MILLIMETRES = 1e3
"""The motion term is weighted in millimetres."""


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
    """Small motion beyond the mesh's, and gates that stay where they belong.

    Args:
        motion: Motion of one layer.
        config: Weights.
    """
    terms: dict[str, Tensor] = {}
    if motion.residual is not None:
        terms["motion"] = config.motion * motion.residual.abs().mean() * MILLIMETRES
    if motion.gate_penalty is not None:
        terms["gates"] = config.gates * motion.gate_penalty
    return terms


def likelihood_loss(
    error: Float[Tensor, "h w"], deviation: Float[Tensor, "h w"], alpha: Float[Tensor, "h w"], config: LossConfig
) -> Tensor:
    """Laplace likelihood of the picture's error under the splatted deviation: it only fixes the scale (DESIGN §7).

    Args:
        error: Mean absolute colour error per pixel; detached here.
        deviation: Splatted standard deviation, premultiplied.
        alpha: Coverage of the same rendering; pixels below one half do not count.
        config: Weights.
    """
    inside = alpha.detach() > 0.5
    return config.likelihood * laplace_nll(deviation[inside] / alpha.detach()[inside], error[inside])


def check_finite(terms: dict[str, Tensor]) -> None:
    """Stop before the optimizer does damage.

    Raises:
        FloatingPointError: a loss is not finite; the message names it.
    """
    bad = [name for name, value in terms.items() if not bool(torch.isfinite(value))]
    if bad:
        raise FloatingPointError(f"Loss {', '.join(bad)} is not finite; the last good checkpoint is kept.")
