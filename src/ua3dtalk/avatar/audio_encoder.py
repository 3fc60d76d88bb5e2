"""Encoders of what drives a frame: speech windows → 32 values with attention over time, upper-face signals → 6."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ua3dtalk.avatar.conditions import CONTEXT_AFTER, CONTEXT_BEFORE
from ua3dtalk.avatar.seeded_layers import conv1d, linear

AUDIO_WIDTH = 32
UPPER_WIDTH = 6

_CONTEXT = CONTEXT_BEFORE + 1 + CONTEXT_AFTER
_SLOPE = 0.02


class AudioEncoder(nn.Module):
    """Speech around a frame as one vector: strided convolutions per window, then attention over the eight frames.

    The layout (four convolutions, two linear layers, five attention convolutions) is the field's usual one; the input
    is phone posteriors instead of a recogniser's hidden state (DESIGN §6).

    Args:
        generator: Draws the weights.
        channels: Channels of a window.
    """

    def __init__(self, generator: torch.Generator, channels: int = 42) -> None:
        super().__init__()
        widths = (channels, 32, 32, 64, 64)
        self.window = nn.ModuleList(conv1d(i, o, stride=2, generator=generator) for i, o in _pairs(widths))
        self.hidden = linear(64, 64, generator)
        self.output = linear(64, AUDIO_WIDTH, generator)
        self.attention = nn.ModuleList(
            conv1d(i, o, stride=1, generator=generator) for i, o in _pairs((AUDIO_WIDTH, 16, 8, 4, 2, 1))
        )
        self.weights = linear(_CONTEXT, _CONTEXT, generator)

    def forward(self, windows: Float[Tensor, "8 channels 16"]) -> Float[Tensor, " 32"]:
        """Encode the windows of frames t-4 … t+3 into the audio vector of frame t."""
        x = windows
        for layer in self.window:
            x = functional.leaky_relu(layer(x), _SLOPE)
        x = functional.leaky_relu(self.hidden(x.squeeze(-1)), _SLOPE)
        frames = self.output(x)  # [8, 32]
        a = frames.t().unsqueeze(0)
        for layer in self.attention:
            a = functional.leaky_relu(layer(a), _SLOPE)
        return torch.softmax(self.weights(a.flatten()), dim=0) @ frames


class UpperEncoder(nn.Module):
    """Six upper-face signals through a two-layer network.

    Args:
        generator: Draws the weights.
        hidden: Width between the layers.
    """

    def __init__(self, generator: torch.Generator, hidden: int = 16) -> None:
        super().__init__()
        self.hidden = linear(6, hidden, generator)
        self.output = linear(hidden, UPPER_WIDTH, generator)

    def forward(self, upper: Float[Tensor, " 6"]) -> Float[Tensor, " 6"]:
        """Encode the z-scored signals of one frame."""
        return self.output(torch.relu(self.hidden(upper)))


def _pairs(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(pairwise(widths))
