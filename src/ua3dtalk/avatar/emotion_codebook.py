"""Emotion codebooks: one frame's emotion as soft look-ups, one per level of the emotion planes (paper's module E)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ua3dtalk.avatar.seeded_layers import linear

ENTRIES = 64
"""Entries of the coarsest book; finer levels have this times their multiple."""


class EmotionCodebook(nn.Module):
    """The paper's "4D Gaussian encoding with multi-resolution code-books" (module E).

    q = W f_emo; per level l: e_l = softmax(q B_lᵀ / √C) B_l with a book B_l [64·r_l, C]. A Gaussian's emotion feature
    is the concatenation of φ_emo,l(x) ⊙ e_l. Books start around 1 (ours), so that the feature starts as the plain
    field and the emotion modulates it; a common offset of all entries does not change the look-up.

    Args:
        multiples: r_l of each level.
        channels: C, the channels of the emotion planes (paper: 64, hence its division by 8).
        generator: Draws books and projection.
    """

    def __init__(self, multiples: tuple[int, ...], channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query = linear(128, channels, generator)
        self.books = nn.ParameterList(
            nn.Parameter(torch.empty(ENTRIES * r, channels).normal_(1.0, 0.5, generator=generator)) for r in multiples
        )

    def forward(self, emotion: Float[Tensor, " 128"]) -> Float[Tensor, " levels_channels"]:
        """One frame's look-up of every level, concatenated."""
        query = self.query(emotion)
        scale = len(query) ** -0.5
        return torch.cat([torch.softmax(book @ query * scale, dim=0) @ book for book in self.books])
