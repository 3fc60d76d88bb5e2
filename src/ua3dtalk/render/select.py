"""The one place that chooses a back-end."""

from __future__ import annotations

import torch

from ua3dtalk.core.progress import log
from ua3dtalk.render.gsplat_backend import GsplatRasterizer
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.render.rasterizer import Rasterizer


def make_rasterizer(device: torch.device) -> Rasterizer:
    """The rasterizer of a device: numba kernels on the CPU, gsplat on any other.

    Args:
        device: Where the Gaussians live.
    """
    rasterizer = NumbaRasterizer() if device.type == "cpu" else GsplatRasterizer()
    log.info("Rendering with %s.", rasterizer.name)
    return rasterizer
