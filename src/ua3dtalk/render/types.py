"""What goes into a rasterizer and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from ua3dtalk.geometry.camera import Camera


@dataclass(frozen=True)
class Splats:
    """N Gaussians, activated, in the head frame."""

    means: Float[Tensor, "n 3"]
    """Centres, metres."""
    quats: Float[Tensor, "n 4"]
    """Rotations, ``wxyz``, any norm above 0."""
    scales: Float[Tensor, "n 3"]
    """Standard deviations along the Gaussian's own axes, metres, > 0."""
    opacities: Float[Tensor, " n"]
    """0 to 1."""
    sh: Float[Tensor, "n k 3"]
    """Spherical-harmonic colour coefficients, K ≥ (degree + 1)²."""

    def __len__(self) -> int:
        return self.means.shape[0]

    def detach(self) -> Splats:
        """The same Gaussians, cut off from the graph."""
        return Splats(
            self.means.detach(), self.quats.detach(), self.scales.detach(), self.opacities.detach(), self.sh.detach()
        )


class Means2d:
    """Projected centres' by-products, for densification.

    Attributes:
        radii: Largest half extent of each Gaussian on the picture, whole pixels; 0 where it is not drawn.
        grad: Gradient of the loss by the projected centres, per pixel; None before ``backward``.
    """

    def __init__(self, radii: Int[Tensor, " n"]) -> None:
        self.radii = radii
        self.grad: Float[Tensor, "n 2"] | None = None

    def strategy_info(self, camera: Camera) -> dict[str, Any]:
        """The ``info`` that gsplat's ``DefaultStrategy`` asks for (unpacked layout, one camera)."""
        return {
            "means2d": _StrategyMeans2d(self),
            "radii": self.radii[None, :, None].expand(1, -1, 2),
            "width": camera.width,
            "height": camera.height,
            "n_cameras": 1,
            "gaussian_ids": None,
        }


class _StrategyMeans2d:
    """Looks to gsplat's strategy like the tensor of projected centres."""

    def __init__(self, means2d: Means2d) -> None:
        self._means2d = means2d

    def retain_grad(self) -> None:
        """Nothing to do: the backward pass always leaves the gradient."""

    @property
    def grad(self) -> Float[Tensor, "1 n 2"]:
        if self._means2d.grad is None:
            raise ValueError("Means2d has no gradient yet: call backward on the rendering first.")
        return self._means2d.grad[None]


@dataclass(frozen=True)
class RenderOutput:
    """One rendered picture; no background is added."""

    rgb: Float[Tensor, "h w 3"]
    """Colour, premultiplied by alpha."""
    alpha: Float[Tensor, "h w"]
    """Coverage, 0 to 1."""
    depth: Float[Tensor, "h w"]
    """Σ w z, metres: not divided by alpha."""
    extras: Float[Tensor, "h w e"]
    """Σ w · extra channel, premultiplied; E = 0 where none were given."""
    means2d: Means2d
    """Radii, and after ``backward`` the projected centres' gradient."""
