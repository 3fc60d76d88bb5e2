"""A pinhole camera: pose, intrinsics and picture size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """One view.

    The intrinsics have no skew, and pixel centres lie at +0.5.
    """

    viewmat: Float[Tensor, "4 4"]
    """World → camera, OpenCV axes (x right, y down, z forward), metres; the last row is (0, 0, 0, 1)."""
    K: Float[Tensor, "3 3"]
    """Pinhole intrinsics, pixels."""
    width: int
    """Picture width, pixels, > 0."""
    height: int
    """Picture height, pixels, > 0."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"A camera's picture must be at least 1×1 pixels, got {self.width}×{self.height}.")

    def crop(self, y0: int, y1: int, x0: int, x1: int) -> Camera:
        """The camera of a box of this one's picture: rendering costs only the box.

        The box may reach over the picture's border.

        Args:
            y0: First row, pixels.
            y1: Row after the last.
            x0: First column.
            x1: Column after the last.
        """
        K = self.K.clone()
        K[0, 2] -= x0
        K[1, 2] -= y0
        return Camera(self.viewmat, K, x1 - x0, y1 - y0)

    def scaled(self, factor: float) -> Camera:
        """The same view at another resolution.

        Args:
            factor: Size of the new picture over the size of this one; sizes are rounded to whole pixels.
        """
        K = self.K.clone()
        K[:2] *= factor
        return Camera(self.viewmat, K, round(self.width * factor), round(self.height * factor))

    def to(self, device: torch.device | str) -> Camera:
        """The same camera with its tensors on ``device``."""
        return Camera(self.viewmat.to(device), self.K.to(device), self.width, self.height)

    def position(self) -> Float[Tensor, 3]:
        """Centre of projection in the world, metres (differentiable)."""
        return -torch.linalg.solve(self.viewmat[:3, :3], self.viewmat[:3, 3])
