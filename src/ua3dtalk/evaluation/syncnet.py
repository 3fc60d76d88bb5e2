"""SyncNet v2: one network for lips, one for sound, whose outputs lie close together when the two are in time.

The architecture and the names of its layers are those of the public weights, which the user brings as safetensors.
B counts windows, D = 1024.

Source: Chung and Zisserman, "Out of time: automated lip sync in the wild", ACCV-W 2016;
github.com/joonson/syncnet_python.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from ua3dtalk.core.checkpoint import load_into
from ua3dtalk.core.errors import UserError
from ua3dtalk.evaluation.weights import load_weights

WINDOW_FRAMES = 5
"""Pictures of a window, 0.2 s at 25 fps."""
CEPSTRA_PER_WINDOW = 20
"""MFCC columns of a window, 0.2 s at 100 Hz."""
CEPSTRA_PER_FRAME = 4
CROP_PX = 224
EMBEDDING = 1024


class SyncNet(nn.Module):
    """Both networks, in evaluation mode, without weights of their own: see ``load_syncnet``."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = _sound_layers()
        self.netfcaud = _head()
        self.netcnnlip = _lip_layers()
        self.netfclip = _head()
        self.eval()

    @torch.inference_mode()
    def embed_lips(self, crops: Float32[Tensor, "b 3 5 224 224"]) -> Float32[Tensor, "b d"]:
        """Windows of five face crops, BGR, 0..255. Not differentiable."""
        return self.netfclip(self.netcnnlip(crops).flatten(1))

    @torch.inference_mode()
    def embed_sound(self, cepstra: Float32[Tensor, "b 1 13 20"]) -> Float32[Tensor, "b d"]:
        """Windows of 20 MFCC columns (``mfcc.mfcc``). Not differentiable."""
        return self.netfcaud(self.netcnnaud(cepstra).flatten(1))


def load_syncnet(path: Path) -> SyncNet:
    """SyncNet with the weights of a safetensors file.

    Args:
        path: Tensors named as in the public model, e.g. ``netcnnaud.0.weight``; counts of batches, which old files lack
            and nothing needs here, may be absent.

    Raises:
        UserError: the file is missing, damaged, or holds other tensors or values that are not finite.
    """
    net = SyncNet()
    where = f"{path} (SyncNet v2)"
    counts = {name: count for name, count in net.state_dict().items() if name.endswith("num_batches_tracked")}
    tensors = counts | load_weights(path)
    load_into(net, tensors, where)
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise UserError(f"{where}: {broken[0]} holds values that are not finite.", "Get another copy of the weights.")
    return net


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


def _sound_layers() -> nn.Sequential:
    return nn.Sequential(
        *_flat(1, 64, (3, 3), 1),
        nn.MaxPool2d((1, 1), (1, 1)),
        *_flat(64, 192, (3, 3), 1),
        nn.MaxPool2d((3, 3), (1, 2)),
        *_flat(192, 384, (3, 3), 1),
        *_flat(384, 256, (3, 3), 1),
        *_flat(256, 256, (3, 3), 1),
        nn.MaxPool2d((3, 3), (2, 2)),
        *_flat(256, 512, (5, 4), 0),
    )


def _lip_layers() -> nn.Sequential:
    return nn.Sequential(
        *_deep(3, 96, (5, 7, 7), 2, 0),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_deep(96, 256, (1, 5, 5), 2, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *_deep(256, 256, (1, 3, 3), 1, 1),
        *_deep(256, 256, (1, 3, 3), 1, 1),
        *_deep(256, 256, (1, 3, 3), 1, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_deep(256, 512, (1, 6, 6), 1, 0),
    )


def _flat(inputs: int, outputs: int, kernel: tuple[int, int], padding: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.BatchNorm2d(outputs), nn.ReLU()


def _deep(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int, padding: int) -> tuple[nn.Module, ...]:
    strides, paddings = (1, stride, stride), (0, padding, padding)
    return nn.Conv3d(inputs, outputs, kernel, strides, paddings), nn.BatchNorm3d(outputs), nn.ReLU()
