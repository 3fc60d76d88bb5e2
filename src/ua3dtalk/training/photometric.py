"""L1 and D-SSIM in one pass, with an analytic gradient: autograd through the windows cost 17 times as much."""

from __future__ import annotations

import math
from typing import Any, no_type_check

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
_HALF = WINDOW // 2


def _window() -> np.ndarray:
    x = np.arange(WINDOW) - _HALF
    weights = np.exp(-(x**2) / (2 * SIGMA**2))
    return (weights / weights.sum()).astype(np.float32)


_WEIGHTS = _window()


def _blur(image: np.ndarray) -> np.ndarray:
    return cv2.sepFilter2D(image, cv2.CV_32F, _WEIGHTS, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)


@njit(nogil=True, cache=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
@no_type_check  # the type checker of the tests would hand numba a wrapped function
def _ssim_maps(mx, my, xx, yy, xy, scale, row_sums, g_mean, g_square, g_cross):
    """Per-pixel SSIM (summed by row) and its derivatives to the three filtered maps; zero where the window leaves."""
    height, width, channels = mx.shape
    c1, c2 = np.float32(C1), np.float32(C2)
    two = np.float32(2)
    for i in range(height):
        total = 0.0
        for j in range(width):
            inside = _HALF <= i < height - _HALF and _HALF <= j < width - _HALF
            for c in range(channels):
                if not inside:
                    g_mean[i, j, c] = 0
                    g_square[i, j, c] = 0
                    g_cross[i, j, c] = 0
                    continue
                a, b = mx[i, j, c], my[i, j, c]
                a1 = two * a * b + c1
                a2 = two * (xy[i, j, c] - a * b) + c2
                b1 = a * a + b * b + c1
                b2 = xx[i, j, c] - a * a + yy[i, j, c] - b * b + c2
                inverse = np.float32(1) / (b1 * b2)
                ssim = a1 * a2 * inverse
                total += ssim
                g_square[i, j, c] = -ssim / b2 * scale
                g_cross[i, j, c] = two * a1 * inverse * scale
                g_mean[i, j, c] = (
                    two * b * a2 * inverse - two * a * ssim / b1 + two * a * ssim / b2 - two * b * a1 * inverse
                ) * scale
        row_sums[i] = total


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, weight: Tensor | None, dssim: float) -> tuple[Tensor, Tensor]:
        x = np.ascontiguousarray(image.detach().numpy())
        y = np.ascontiguousarray(target.numpy())
        difference = x - y
        w = 1.0 if weight is None else weight.numpy()
        l1 = float((np.abs(difference) * w).mean())
        gradient = (1.0 - dssim) * np.sign(difference) * w / difference.size
        height, width, channels = x.shape
        similarity = 1.0
        if dssim > 0 and min(height, width) >= WINDOW:
            count = (height - 2 * _HALF) * (width - 2 * _HALF) * channels
            maps = [np.empty_like(x) for _ in range(3)]
            rows = np.empty(height)
            _ssim_maps(_blur(x), _blur(y), _blur(x * x), _blur(y * y), _blur(x * y), np.float32(1 / count), rows, *maps)
            similarity = math.fsum(rows) / count
            gradient = gradient - dssim * (_blur(maps[0]) + 2 * x * _blur(maps[1]) + y * _blur(maps[2]))
        ctx.gradient = torch.from_numpy(gradient.astype(np.float32))
        loss = torch.tensor((1 - dssim) * l1 + dssim * (1 - similarity), dtype=torch.float32)
        return loss, torch.tensor(similarity, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.gradient * grads[0], None, None, None


def photometric_loss(
    image: Float[Tensor, "h w c"],
    target: Float[Tensor, "h w c"],
    weight: Float[Tensor, "h w 1"] | None = None,
    dssim: float = 0.2,
) -> Float[Tensor, ""]:
    """``(1 − dssim) · mean(weight · |image − target|) + dssim · (1 − SSIM)`` (3DGS, equation 7; DESIGN §9).

    SSIM uses the 11×11 Gaussian window of σ 1.5 and counts only pixels whose window lies inside. Images smaller than
    the window have no SSIM term (a three-pixel mouth must not crash). Gradients flow to ``image`` only. On a CUDA
    tensor the same formula runs in plain torch.

    Args:
        image: Rendered, [0, 1].
        target: Wanted, [0, 1].
        weight: Per-pixel weight of the L1 term.
        dssim: Share of the structural term, in [0, 1].
    """
    if image.device.type == "cpu":
        return _Photometric.apply(image, target, weight, dssim)[0]
    return photometric_reference(image, target, weight, dssim)


def photometric_reference(
    image: Float[Tensor, "h w c"],
    target: Float[Tensor, "h w c"],
    weight: Float[Tensor, "h w 1"] | None = None,
    dssim: float = 0.2,
) -> Float[Tensor, ""]:
    """The same loss by autograd: the oracle of the kernel, and the path for other devices."""
    difference = (image - target).abs()
    l1 = (difference if weight is None else difference * weight).mean()
    if dssim == 0 or min(image.shape[:2]) < WINDOW:
        return (1 - dssim) * l1
    x, y = image.permute(2, 0, 1), target.permute(2, 0, 1)
    window = torch.as_tensor(_window(), dtype=image.dtype, device=image.device)
    stack = torch.cat([x, y, x * x, y * y, x * y])[:, None]
    filtered = torch.nn.functional.conv2d(stack, window.view(1, 1, WINDOW, 1))
    filtered = torch.nn.functional.conv2d(filtered, window.view(1, 1, 1, WINDOW))[:, 0]
    mx, my, xx, yy, xy = filtered.chunk(5)
    top = (2 * mx * my + C1) * (2 * (xy - mx * my) + C2)
    bottom = (mx * mx + my * my + C1) * (xx - mx * mx + yy - my * my + C2)
    return (1 - dssim) * l1 + dssim * (1 - (top / bottom).mean())
