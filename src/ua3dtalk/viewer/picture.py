"""One frame as a picture from any camera, by our own rasterizer: what a video of it would show."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ua3dtalk.core.provenance import AI_GENERATED
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.render.compositing import over
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.render.types import Splats


@torch.no_grad()
def draw(
    rasterizer: Rasterizer,
    layers: Mapping[str, Splats],
    viewmat: Float[np.ndarray, "4 4"],
    intrinsics: Float[np.ndarray, "3 3"],
    behind: UInt8[np.ndarray, "h w 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Layers over a picture, the first one at the back.

    Args:
        rasterizer: Back-end.
        layers: From ``Scene.layers``.
        viewmat: Head to camera.
        intrinsics: Pinhole intrinsics, pixels.
        behind: What is behind the head, of the size of the picture.
    """
    device = next(iter(layers.values())).means.device
    height, width = behind.shape[:2]
    camera = Camera(
        torch.from_numpy(viewmat.astype(np.float32)).to(device),
        torch.from_numpy(intrinsics.astype(np.float32)).to(device),
        width,
        height,
    )
    image = torch.from_numpy(behind).to(device).float() / 255
    for splats in layers.values():
        out = rasterizer(splats, camera, sh_degree=0)
        image = over(out.rgb, out.alpha, image)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def png(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture as PNG, marked as made by a machine."""
    info = PngInfo()
    info.add_text("Comment", AI_GENERATED)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "png", pnginfo=info)
    return out.getvalue()
