"""The network of LPIPS v0.1: distance of two pictures in a classifier's features (Zhang et al., CVPR 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from torch import Tensor, nn

from ua3dtalk.core.checkpoint import load_into
from ua3dtalk.evaluation.weights import load_weights

LpipsNet = Literal["alex", "vgg"]
"""AlexNet or VGG16."""
LPIPS_NETS: tuple[LpipsNet, ...] = get_args(LpipsNet)

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation for pictures in −1..1, as LPIPS rounds them."""
_EPSILON = 1e-10


@dataclass(frozen=True, kw_only=True)
class _Conv:
    """A convolution and its ReLU."""

    channels: int
    size: int = 3
    stride: int = 1
    pad: int = 1


@dataclass(frozen=True, kw_only=True)
class _Pool:
    """Largest of a square."""

    size: int
    stride: int = 2


@dataclass(frozen=True, kw_only=True)
class _Backbone:
    """The part of torchvision's ``features`` that LPIPS uses."""

    layers: tuple[_Conv | _Pool, ...]
    taps: tuple[int, ...]
    """Indices in torchvision's numbering (a ReLU counts) whose outputs are compared."""
    min_side: int
    """Smallest picture that reaches the last tap, pixels."""


def _vgg_layers() -> tuple[_Conv | _Pool, ...]:
    layers: list[_Conv | _Pool] = []
    for block, (channels, repeats) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        layers += [_Pool(size=2)] * (block > 0) + [_Conv(channels=channels)] * repeats
    return tuple(layers)


_BACKBONES: dict[str, _Backbone] = {
    "alex": _Backbone(
        layers=(
            _Conv(channels=64, size=11, stride=4, pad=2),
            _Pool(size=3),
            _Conv(channels=192, size=5, pad=2),
            _Pool(size=3),
            _Conv(channels=384),
            _Conv(channels=256),
            _Conv(channels=256),
        ),
        taps=(1, 4, 7, 9, 11),
        min_side=31,
    ),
    "vgg": _Backbone(layers=_vgg_layers(), taps=(3, 8, 15, 22, 29), min_side=16),
}


class _Weighting(nn.Module):
    """Weighted sum over channels, under the name that the lpips package gives it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        conv = nn.utils.skip_init(nn.Conv2d, channels, 1, 1, bias=False)
        self.model = nn.Sequential(nn.Identity(), conv)  # index 0 is the package's dropout

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Lpips(nn.Module):
    """The network of one backbone; its parameters are undefined until ``load_lpips`` has filled them.

    Args:
        net: Backbone.
    """

    def __init__(self, net: LpipsNet) -> None:
        super().__init__()
        backbone = _BACKBONES[net]
        self.min_side: int = backbone.min_side
        self._taps = backbone.taps
        self.features, channels = _features(backbone)
        for i, count in enumerate(channels):
            self.add_module(f"lin{i}", _Weighting(count))
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)
        self.eval().requires_grad_(False)

    def describe(self, picture: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Features of every tap with unit length over the channels.

        Args:
            picture: RGB in −1..1, at least ``min_side`` pixels on a side.

        Raises:
            ValueError: for a smaller picture.
        """
        if min(picture.shape[-2:]) < self.min_side:
            raise ValueError(f"`picture` must be {self.min_side} px or more on a side, got {tuple(picture.shape)}.")
        x = (picture - self.get_buffer("shift")) / self.get_buffer("scale")
        found = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self._taps:
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + _EPSILON))
        return found

    def between(
        self, a: list[Float[Tensor, "b _ _ _"]], b: list[Float[Tensor, "b _ _ _"]]
    ) -> Float[Tensor, " b"]:  # fmt: skip
        """Distance of two described pictures: per tap the squared difference, weighted over channels, averaged over
        places; then summed over the taps."""
        terms = []
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            terms.append(self.get_submodule(f"lin{i}")((x - y).square()).mean((1, 2, 3)))
        return torch.stack(terms).sum(0)

    def forward(self, a: Float[Tensor, "b 3 h w"], b: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
        """Distance of two pictures.

        Args:
            a: RGB in −1..1.
            b: RGB in −1..1.
        """
        return self.between(self.describe(a), self.describe(b))


def load_lpips(net: LpipsNet, path: Path) -> Lpips:
    """The network with its weights.

    Args:
        net: Backbone.
        path: Safetensors with torchvision's ``features.*`` and the lpips package's ``lin*.model.1.weight``, float32.

    Raises:
        UserError: unreadable, or a tensor is missing, extra or of another shape; the message names it.
    """
    model = Lpips(net)
    load_into(model, load_weights(path), f"{path} (LPIPS {net})")
    return model


def to_lpips(frame: UInt8[ndarray, "h w 3"]) -> Float32[Tensor, "1 3 h w"]:
    """A frame as ``Lpips`` takes it: RGB, −1..1."""
    return torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def _features(backbone: _Backbone) -> tuple[nn.Sequential, list[int]]:
    """Layers in torchvision's numbering, and the channels at every tap."""
    modules: list[nn.Module] = []
    tapped: list[int] = []
    channels = 3
    for layer in backbone.layers:
        if isinstance(layer, _Pool):
            modules.append(nn.MaxPool2d(layer.size, layer.stride))
            continue
        sizes = (channels, layer.channels, layer.size, layer.stride, layer.pad)
        modules += [nn.utils.skip_init(nn.Conv2d, *sizes), nn.ReLU(inplace=True)]
        channels = layer.channels
        if len(modules) - 1 in backbone.taps:
            tapped.append(channels)
    return nn.Sequential(*modules), tapped
