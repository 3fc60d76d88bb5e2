"""Layers whose starting values come from a passed generator, never from torch's global one."""

from __future__ import annotations

import torch
from torch import nn


def uniform_parameter(*shape: int, fan_in: int, generator: torch.Generator) -> nn.Parameter:
    """A parameter with the usual start of a linear layer: uniform in ±1/√fan_in."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer, uniform in ±1/√inputs."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    _start(layer, inputs, generator)
    return layer


def conv1d(inputs: int, outputs: int, *, stride: int, generator: torch.Generator) -> nn.Conv1d:
    """A width-3 convolution with one step of padding, uniform in ±1/√fan_in."""
    layer = nn.Conv1d(inputs, outputs, kernel_size=3, stride=stride, padding=1, device="meta").to_empty(device="cpu")
    _start(layer, 3 * inputs, generator)
    return layer


def _start(layer: nn.Module, fan_in: int, generator: torch.Generator) -> None:
    bound = fan_in**-0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
