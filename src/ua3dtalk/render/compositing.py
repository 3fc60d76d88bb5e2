"""Putting layers over each other."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def over(
    front_rgb_premultiplied: Float[Tensor, "*size c"], front_alpha: Float[Tensor, "*size"], back: Float[Tensor, "*back"]
) -> Float[Tensor, "*size c"]:
    """The front layer over an opaque back (Porter & Duff 1984).

    Args:
        front_rgb_premultiplied: Colour times alpha.
        front_alpha: Coverage, 0 to 1.
        back: Opaque picture, or a colour that broadcasts to one.
    """
    return front_rgb_premultiplied + (1 - front_alpha[..., None]) * back
