"""The numba kernels as one autograd operator."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ua3dtalk.render.numba_backward import rasterize_backward
from ua3dtalk.render.numba_binning import bin_into_tiles
from ua3dtalk.render.numba_common import CHUNKS, COLUMNS, DEPTH, GRADIENTS, TILE
from ua3dtalk.render.numba_forward import rasterize
from ua3dtalk.render.numba_projection import pack_camera, project
from ua3dtalk.render.numba_projection_backward import CAMERA_GRADIENTS, project_backward
from ua3dtalk.render.types import Means2d


class Workers:
    """Runs a kernel on several threads: one part on the caller's, the others on a pool.

    The kernels release the interpreter's lock. An OpenMP pool would be 50 µs quicker to start, but its threads wait by
    spinning: where other work shares the cores, that made two threads ten times slower than one.

    Args:
        num_threads: Threads in all.
    """

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads - 1, "rasterizer") if num_threads > 1 else None

    def run(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call ``kernel(worker, num_workers, *arguments)`` for all workers and wait."""
        if self._pool is None:
            kernel(0, 1, *arguments)
            return
        others = [self._pool.submit(kernel, i, self._num_threads, *arguments) for i in range(1, self._num_threads)]
        kernel(0, self._num_threads, *arguments)
        for other in others:
            other.result()


@dataclass(frozen=True)
class Call:
    """What one rendering needs besides tensors."""

    K: np.ndarray
    width: int
    height: int
    sh_degree: int
    workers: Workers
    means2d: Means2d

    @property
    def tiles_x(self) -> int:
        """Tiles in a row."""
        return -(-self.width // TILE)

    @property
    def tiles_y(self) -> int:
        """Tiles in a column."""
        return -(-self.height // TILE)


@dataclass(frozen=True)
class _Saved:
    """What the backward pass needs; names as in the kernels."""

    inputs: list[np.ndarray]
    cam: np.ndarray
    g: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    firsts: np.ndarray
    slots: np.ndarray
    ends: np.ndarray
    rgb: np.ndarray
    depth: np.ndarray
    extra: np.ndarray
    transmittance: np.ndarray


class RasterizeOperator(torch.autograd.Function):
    """(call, means, quats, scales, opacities, sh, extras, viewmat) → (rgb, alpha, depth, extras)."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Draw; ``call.means2d.radii`` is filled."""
        inputs = [tensor.detach().contiguous().numpy() for tensor in tensors[:6]]
        saved, alpha = _draw(call, inputs, tensors[6].detach().numpy())
        pictures = tuple(torch.from_numpy(picture) for picture in (saved.rgb, alpha, saved.depth, saved.extra))
        ctx.call, ctx.saved = call, saved
        ctx.save_for_backward(*tensors, *pictures)  # so that autograd notices changes in place
        ctx.set_materialize_grads(False)
        return pictures

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of all tensors; ``call.means2d.grad`` is filled."""
        _ = ctx.saved_tensors  # raises where one was changed in place
        outputs, v_cams = _draw_backward(ctx.call, ctx.saved, [_as_array(gradient) for gradient in gradients])
        v_viewmat = _viewmat_gradient(v_cams, ctx.saved.cam) if ctx.needs_input_grad[7] else None
        return (None, *outputs, v_viewmat)


def _draw(call: Call, inputs: list[np.ndarray], viewmat: np.ndarray) -> tuple[_Saved, np.ndarray]:
    """Project, bin and draw; returns what to save, and alpha."""
    extras, n = inputs[5], len(inputs[0])
    height, width = call.height, call.width
    cam = pack_camera(viewmat, call.K, width, height)
    g = np.empty((n, COLUMNS), np.float32)
    boxes, counts = np.empty((n, 4), np.int32), np.empty(n, np.int32)
    radii = call.means2d.radii.numpy()
    call.workers.run(project, *inputs, call.sh_degree, cam, width, height, g, boxes, counts, radii)
    starts, ids, firsts, slots = bin_into_tiles(g, boxes, counts, call.tiles_x, call.tiles_y)
    rgb = np.empty((height, width, 3), np.float32)
    alpha, depth, transmittance = (np.empty((height, width), np.float32) for _ in range(3))
    extra = np.empty((height, width, extras.shape[1]), np.float32)
    ends = np.empty(len(starts) - 1, np.int32)
    call.workers.run(rasterize, g, extras, starts, ids, call.tiles_x, rgb, alpha, depth, extra, transmittance, ends)
    return _Saved(inputs, cam, g, starts, ids, firsts, slots, ends, rgb, depth, extra, transmittance), alpha


def _draw_backward(call: Call, saved: _Saved, gradients: list[np.ndarray | None]) -> tuple[list[Tensor], np.ndarray]:
    """Gradients of the six inputs, and the parts of the camera's."""
    v_rgb, v_alpha, v_depth, v_extra = gradients
    size = (call.height, call.width)
    v_rgb = np.zeros((*size, 3), np.float32) if v_rgb is None else v_rgb
    v_alpha = np.zeros(size, np.float32) if v_alpha is None else v_alpha
    extras, extra, v_further = _further_channels(saved, v_depth, v_extra)
    rows = np.empty((len(saved.ids), GRADIENTS + extras.shape[1]), np.float32)
    call.workers.run(
        rasterize_backward, saved.g, extras, saved.starts, saved.ids, saved.ends, call.tiles_x,
        saved.rgb, extra, saved.transmittance, v_rgb, v_alpha, v_further, rows,
    )  # fmt: skip
    means, quats, scales, _, sh, _ = saved.inputs
    outputs = [torch.zeros(array.shape) for array in saved.inputs]
    v_means, v_quats, v_scales, v_opacities, v_sh, v_extras = (output.numpy() for output in outputs)
    if v_extra is None:
        v_extras = np.empty((len(means), 0), np.float32)
    v_means2d, v_cams = torch.zeros(len(means), 2), np.zeros((CHUNKS, CAMERA_GRADIENTS))
    depth_column = -1 if v_depth is None else rows.shape[1] - 1
    call.workers.run(
        project_backward, means, quats, scales, sh, call.sh_degree, saved.cam, saved.g, saved.firsts, saved.slots, rows,
        depth_column, v_means2d.numpy(), v_means, v_quats, v_scales, v_opacities, v_sh, v_extras, v_cams,
    )  # fmt: skip
    call.means2d.grad = v_means2d
    return outputs, v_cams


def _further_channels(
    saved: _Saved, v_depth: np.ndarray | None, v_extra: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channels beyond colour that have a gradient: per-Gaussian values, picture, gradient of the picture.

    Extras come first, depth last; channels nobody asks about are left out and cost nothing.
    """
    parts = [(np.empty((len(saved.g), 0), np.float32), saved.extra[..., :0], saved.extra[..., :0])]
    if v_extra is not None:
        parts = [(saved.inputs[5], saved.extra, v_extra)]
    if v_depth is not None:
        parts.append((saved.g[:, DEPTH : DEPTH + 1], saved.depth[..., None], v_depth[..., None]))
    values, pictures, gradients = (np.ascontiguousarray(np.concatenate(part, -1)) for part in zip(*parts, strict=True))
    return values, pictures, gradients


def _viewmat_gradient(v_cams: np.ndarray, cam: np.ndarray) -> Tensor:
    """From rotation, translation and position p = −R⁻¹t to the world → camera matrix; its last row gets none."""
    v_cam = v_cams.sum(0)
    rotation, position = cam[:9].reshape(3, 3), cam[12:15]
    back = np.linalg.solve(rotation.T, v_cam[12:15])
    gradient = np.zeros((4, 4), np.float32)
    gradient[:3, :3] = v_cam[:9].reshape(3, 3) - np.outer(back, position)
    gradient[:3, 3] = v_cam[9:12] - back
    return torch.from_numpy(gradient)


def _as_array(gradient: Tensor | None) -> np.ndarray | None:
    return None if gradient is None else gradient.contiguous().numpy()
