"""The front of a head as a picture: every pixel is a point of its surface, so frames can be laid over each other."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from scipy.interpolate import LinearNDInterpolator

LEFT_M, RIGHT_M, BOTTOM_M, TOP_M = -0.105, 0.105, -0.05, 0.165
"""Borders of the picture in the head frame: hair on top, lips below."""
SKULL_CENTRE_M = (0.0, 0.045, -0.02)
SKULL_RADII_M = (0.088, 0.115, 0.10)
"""Ellipsoid that goes on where the mesh ends: hair of usual length lies near it, and depth is adjusted later."""
BLEND_M = 0.009
"""How far the mesh's border pulls the ellipsoid to itself."""
COARSE = 4
"""Where the pixels lie in a frame is computed for every so many; between them it is as good as linear."""


class HeadSurface:
    """An orthographic front view of a typical head.

    Args:
        vertices: Face mesh in the head frame, metres.
        pixels_per_m: Resolution.
    """

    def __init__(self, vertices: Float64[np.ndarray, "468 3"], pixels_per_m: float) -> None:
        self.pixels_per_m = pixels_per_m
        self.width = round((RIGHT_M - LEFT_M) * pixels_per_m / COARSE) * COARSE
        self.height = round((TOP_M - BOTTOM_M) * pixels_per_m / COARSE) * COARSE
        x, y = np.meshgrid(
            LEFT_M + (np.arange(self.width) + 0.5) / pixels_per_m, TOP_M - (np.arange(self.height) + 0.5) / pixels_per_m
        )
        mesh_z = LinearNDInterpolator(vertices[:, :2], vertices[:, 2])(x, y)
        self.on_mesh: Bool[np.ndarray, "h w"] = np.isfinite(mesh_z)
        skull_z, self.on_head = _skull(x, y)
        z = np.where(self.on_mesh, np.nan_to_num(mesh_z), skull_z + _pull(mesh_z - skull_z, BLEND_M * pixels_per_m))
        self._points = np.stack([x, y, z], -1).astype(np.float32)
        # Middles of COARSE × COARSE blocks: what cv2.resize interpolates between.
        blocks = self._points.reshape(self.height // COARSE, COARSE, self.width // COARSE, COARSE, 3)
        self._coarse = np.ascontiguousarray(blocks.mean((1, 3)).reshape(-1, 3))

    def pixels(self, points: Float[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 2"]:
        """Where points of the head frame lie in the picture, OpenCV pixels (centres at whole numbers)."""
        columns = (points[..., 0] - LEFT_M) * self.pixels_per_m - 0.5
        rows = (TOP_M - points[..., 1]) * self.pixels_per_m - 0.5
        return np.stack([columns, rows], -1).astype(np.float64)

    def points(self, pixels: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 3"]:
        """The surface at some pixels, head frame, metres."""
        return sample(self._points, pixels).astype(np.float64)

    def in_frame(
        self,
        rotation: Float64[np.ndarray, "3 3"],
        translation: Float64[np.ndarray, " 3"],
        focal: float,
        centre: Float64[np.ndarray, " 2"],
    ) -> Float32[np.ndarray, "h w 2"]:
        """Where each pixel lies in a frame with this head pose, OpenCV pixels of the frame."""
        camera = self._coarse @ rotation.T.astype(np.float32) + translation.astype(np.float32)
        pixels = camera[:, :2] / camera[:, 2:] * np.float32(focal) + (centre - 0.5).astype(np.float32)
        grid = pixels.reshape(self.height // COARSE, self.width // COARSE, 2)
        return np.asarray(cv2.resize(grid, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.float32)


def unwrap(picture: np.ndarray, where: Float32[np.ndarray, "h w 2"]) -> np.ndarray:
    """A frame's picture laid onto the surface, [H, W, ...] of the surface; the frame's border is repeated outwards."""
    return cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def sample(picture: Float32[np.ndarray, "h w c"], pixels: Float[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n c"]:
    """Values of a picture between its pixels, bilinear; OpenCV pixels."""
    where = np.ascontiguousarray(pixels, np.float32)
    values = cv2.remap(picture, where[:, None, 0], where[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values)[:, 0]


def _skull(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the ellipsoid, and where it is far enough from its rim to be looked at."""
    inside = 1 - ((x - SKULL_CENTRE_M[0]) / SKULL_RADII_M[0]) ** 2 - ((y - SKULL_CENTRE_M[1]) / SKULL_RADII_M[1]) ** 2
    return SKULL_CENTRE_M[2] + SKULL_RADII_M[2] * np.sqrt(np.maximum(inside, 0.02)), inside > 0.08


def _pull(gap: np.ndarray, sigma_px: float) -> np.ndarray:
    """The gap between mesh and ellipsoid, carried outwards from the mesh's border and fading; at most 3 cm."""
    known = np.isfinite(gap).astype(np.float32)
    weight = cv2.GaussianBlur(known, (0, 0), sigma_px)
    spread = cv2.GaussianBlur(np.nan_to_num(gap).astype(np.float32), (0, 0), sigma_px)
    return np.where(weight > 1e-3, spread / np.maximum(weight, 1e-3), 0.0).clip(-0.03, 0.03)
