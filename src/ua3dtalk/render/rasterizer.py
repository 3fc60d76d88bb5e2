"""What the rest of the system knows of a rasterizer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.render.types import RenderOutput, Splats

NEAR_M = 0.01
"""Gaussians whose centre is closer are not drawn."""
FAR_M = 1e10
DILATION_PX2 = 0.3
"""Added to the projected variances, so that no Gaussian falls between pixels."""
MAX_ALPHA = 0.999
MIN_ALPHA = 1 / 255
"""A Gaussian is left out of a pixel below this."""
MIN_TRANSMITTANCE = 1e-4
"""A pixel is finished before the Gaussian that would bring its transmittance to this or below."""
CLAMP_MARGIN = 0.15
"""The projection's Jacobian is taken no further outside than this part of the picture's size."""


@runtime_checkable
@runtime_checkable
class Rasterizer(Protocol):
    """Draws Gaussians; every back-end gives the same picture.

    The conventions are gsplat's (1.5.3): EWA projection, dilation, thresholds as above; the Jacobian's clamp depends on
    the picture's size, so a crop differs slightly from the same box of the full picture where large Gaussians cross it.
    """

    @property
    def name(self) -> str:
        """Short name of the back-end, written into results."""
        ...

    def __call__(
        self, splats: Splats, camera: Camera, *, sh_degree: int = 0, extras: Float[Tensor, "n e"] | None = None
    ) -> RenderOutput:
        """Draw.

        Differentiable by every field of ``splats``, by ``extras`` and by ``camera.viewmat``; not by ``camera.K``.

        Args:
            splats: Gaussians.
            camera: View.
            sh_degree: Highest spherical-harmonic degree used, 0 to 3.
            extras: Further channels to splat with the same weights.
        """
        ...
