"""The losses by name. Every term is reported; weights are in ``LossConfig``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.branch import Motion
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.uncertainty import laplace_nll
from ua3dtalk.training.config import LossConfig
from ua3dtalk.training.photometric import photometric_loss
from ua3dtalk.training.targets import FrameTarget

SOFT_M = 0.005
"""Width of the borders of the face bands, metres."""


@dataclass(frozen=True)
class FaceBands:
    """Heights in the head frame that the gate regularisers refer to."""

    brows_m: float
    """No sound above this."""
    lips_m: float
    """No lids and brows below this."""

    @classmethod
    def of(cls, mesh: Float[np.ndarray, "468 3"]) -> FaceBands:
        """From the person's mesh: the top of the brows, and the upper edge of the upper lip."""
        return cls(float(mesh[[105, 334], 1].mean()), float(mesh[0, 1]))


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


def motion_losses(
    layer: AvatarLayer, motion: Motion, conditions: Conditions, bands: FaceBands, config: LossConfig
) -> dict[str, Tensor]:
    """Small motion beyond the mesh's, and gates that stay where they belong.

    Args:
        layer: What moves.
        motion: Its motion in this step.
        conditions: What drove it.
        bands: Where brows and lips are.
        config: Weights.
    """
    beyond = motion.d_means - layer.mesh_displacement(conditions).detach()
    terms = {"motion": config.motion * (beyond.abs().mean() * 1e3 + motion.d_log_scales.abs().mean())}
    height = layer.gaussians.means.detach()[:, 1]
    if motion.gates.shape[1] > 0:
        terms["gates"] = config.gates * (motion.gates[:, 0] * torch.sigmoid((height - bands.brows_m) / SOFT_M)).mean()
    if motion.gates.shape[1] > 1:
        below = torch.sigmoid((bands.lips_m - height) / SOFT_M)
        terms["gates"] = terms["gates"] + config.gates * (motion.gates[:, 1] * below).mean()
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
    variance = (deviation[inside] / alpha.detach()[inside]).square()
    return config.likelihood * laplace_nll(variance, error.detach()[inside])


def check_finite(terms: dict[str, Tensor]) -> None:
    """Stop before the optimizer does damage.

    Raises:
        FloatingPointError: a loss is not finite; the message names it.
    """
    bad = [name for name, value in terms.items() if not bool(torch.isfinite(value))]
    if bad:
        raise FloatingPointError(f"Loss {', '.join(bad)} is not finite; the last good checkpoint is kept.")
