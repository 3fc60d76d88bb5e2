"""A stream's ensemble: M two-layer networks as batched tensors, features first."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ua3dtalk.avatar.seeded_layers import uniform_parameter


class Ensemble(nn.Module):
    """M networks h = relu(W₁ [stream, φ(x)] + b₁), (μ, raw log v) = W₂ h + b₂ (paper's module U, DESIGN §7).

    A stream's input has up to three parts, each with its own columns of W₁, so that nothing is repeated per Gaussian:
    the field φ(x) (does not change per frame: `static`), a per-frame vector (folds into the bias), and a static
    per-Gaussian map times a per-frame vector (folds into the weights: W (g ⊙ v) = (W diag v) g).

    Args:
        members: M.
        hidden: Width between the layers.
        latent: D; the output has 2·D rows, means first, raw log variances after.
        widths: Widths of φ, of the per-frame vector and of the modulated map; 0 leaves a part out.
        generator: Draws the weights, so that members differ.
    """

    def __init__(
        self, *, members: int, hidden: int, latent: int, widths: tuple[int, int, int], generator: torch.Generator
    ) -> None:
        super().__init__()
        field, frame, modulated = widths
        fan_in = field + frame + modulated

        def columns(width: int) -> nn.Parameter | None:
            return uniform_parameter(members, hidden, width, fan_in=fan_in, generator=generator) if width else None

        self.field, self.frame, self.modulated = columns(field), columns(frame), columns(modulated)
        self.bias = uniform_parameter(members, hidden, 1, fan_in=fan_in, generator=generator)
        self.output = uniform_parameter(members, 2 * latent, hidden, fan_in=hidden, generator=generator)
        self.output_bias = uniform_parameter(members, 2 * latent, 1, fan_in=hidden, generator=generator)

    def static(self, field: Float[Tensor, "features n"], members: slice) -> Float[Tensor, "m hidden n"]:
        """The first layer's part that does not change per frame, W₁ φ(x) + b₁, for the given members."""
        bias = self.bias[members]
        if self.field is None:
            return bias.expand(-1, -1, field.shape[1])
        weight = self.field[members]
        return torch.baddbmm(bias, weight, field.expand(len(weight), -1, -1))

    def forward(
        self,
        static: Float[Tensor, "m hidden n"],
        members: slice,
        *,
        frame: Float[Tensor, " frame"] | None = None,
        modulated: tuple[Float[Tensor, "modulated n"], Float[Tensor, " modulated"]] | None = None,
    ) -> Float[Tensor, "m two_latent n"]:
        """Means (first D rows) and raw log variances (last D rows) of the given members.

        Args:
            static: What `static` returned for the same members.
            members: The members to compute.
            frame: The per-frame vector.
            modulated: The static map and the per-frame vector that multiplies it.

        Raises:
            ValueError: a part was left out at construction, or is missing here.
        """
        if (frame is None) != (self.frame is None) or (modulated is None) != (self.modulated is None):
            raise ValueError("An ensemble needs exactly the input parts that it was built with.")
        before = static
        if frame is not None and self.frame is not None:
            before = before + (self.frame[members] @ frame).unsqueeze(-1)
        if modulated is not None and self.modulated is not None:
            gates, values = modulated
            weight = self.modulated[members] * values
            before = torch.baddbmm(before, weight, gates.expand(len(weight), -1, -1))
        output = self.output[members]
        # In place: `before` is always fresh here, never the cached static half.
        return torch.baddbmm(self.output_bias[members], output, before.relu_())
