"""Gaussians as the browser's splat renderer reads them: eight 32-bit words each (viser, after antimatter15)."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, UInt32

from ua3dtalk.geometry.rotation import quats_to_matrices
from ua3dtalk.geometry.spherical_harmonics import sh0_to_rgb
from ua3dtalk.render.types import Splats

UNITS_PER_M = 100.0
"""Packed lengths are centimetres: covariances travel as half floats, and square millimetres in m² would be zero."""


def pack(splats: Splats) -> UInt32[np.ndarray, "n 8"]:
    """Pack N Gaussians.

    Args:
        splats: Head frame, metres; the constant harmonic is the colour.

    Returns:
        Centre in cm (3 × float32), 0, upper triangle of the covariance in cm² (6 × float16), RGBA (4 × uint8).
    """
    with torch.no_grad():
        turned = quats_to_matrices(splats.quats) * (splats.scales * UNITS_PER_M)[:, None]  # R S
        covariances = turned @ turned.transpose(1, 2)
        rgb = sh0_to_rgb(splats.sh[:, 0]).clamp(0, 1)
        rgba = torch.cat([rgb, splats.opacities.clamp(0, 1)[:, None]], 1)
    words = np.zeros((len(splats), 8), np.uint32)
    words[:, :3] = (splats.means * UNITS_PER_M).cpu().numpy().astype(np.float32).view(np.uint32)
    triangle = covariances.flatten(1)[:, [0, 1, 2, 4, 5, 8]].cpu().numpy()
    words[:, 4:7] = np.ascontiguousarray(triangle.astype(np.float16)).view(np.uint32)
    words[:, 7:] = np.ascontiguousarray((rgba * 255).round().to(torch.uint8).cpu().numpy()).view(np.uint32)
    return words


def unpack(
    words: UInt32[np.ndarray, "n 8"],
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n 3 3"], Float32[np.ndarray, "n 4"]]:
    """Centres (metres), covariances (m²) and RGBA (0..1) of packed Gaussians."""
    means = np.ascontiguousarray(words[:, :3]).view(np.float32) / UNITS_PER_M
    triangle = np.ascontiguousarray(words[:, 4:7]).view(np.float16).astype(np.float32) / UNITS_PER_M**2
    covariances = triangle[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    rgba = np.ascontiguousarray(words[:, 7:]).view(np.uint8).astype(np.float32) / 255
    return means, covariances, rgba
