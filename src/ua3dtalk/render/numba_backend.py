"""The CPU back-end: numba kernels behind the project's protocol, as one autograd operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.core.progress import log
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.spherical_harmonics import MAX_SH_DEGREE
from ua3dtalk.render.numba_backward import rasterize_backward
from ua3dtalk.render.numba_binning import bin_into_tiles
from ua3dtalk.render.numba_common import CHUNKS, COLUMNS, DEPTH, GRADIENTS, TILE
from ua3dtalk.render.numba_forward import rasterize
from ua3dtalk.render.numba_projection import pack_camera, project
from ua3dtalk.render.numba_projection_backward import CAMERA_GRADIENTS, project_backward
from ua3dtalk.render.types import Means2d, RenderOutput, Splats


class NumbaRasterizer:
    """Draws on the CPU with kernels that numba compiles on first use and keeps on disk.

    Two calls never run at once within a process: the kernels hold the interpreter's lock.

    Args:
        num_threads: Threads to use; None takes what numba is set to. The picture and its gradients do not depend on it.
    """

    name = "numba"

    def __init__(self, num_threads: int | None = None) -> None:
        limit = numba.config.NUMBA_NUM_THREADS
        if num_threads is not None and not 1 <= num_threads <= limit:
            raise ValueError(f"num_threads must be 1 to {limit} (NUMBA_NUM_THREADS), got {num_threads}.")
        self._num_threads = num_threads

    def __call__(
        self, splats: Splats, camera: Camera, *, sh_degree: int = 0, extras: Float[Tensor, "n e"] | None = None
    ) -> RenderOutput:
        """See ``Rasterizer``.

        Raises:
            ValueError: tensors that are not float32 on the CPU, or too few coefficients for the degree.
        """
        if extras is None:
            extras = splats.means.new_empty(len(splats), 0)
        tensors = (splats.means, splats.quats, splats.scales, splats.opacities, splats.sh, extras, camera.viewmat)
        _check(tensors, splats.sh, sh_degree)
        threads = self._num_threads or numba.get_num_threads()
        means2d = Means2d(torch.empty(len(splats), dtype=torch.int32))
        call = _Call(camera.K.detach().numpy(), camera.width, camera.height, sh_degree, threads, means2d)
        _announce()
        rgb, alpha, depth, extra = _Rasterize.apply(call, *tensors)
        return RenderOutput(rgb, alpha, depth, extra, means2d)


@dataclass(frozen=True)
class _Call:
    """What one rendering needs besides tensors."""

    K: np.ndarray
    width: int
    height: int
    sh_degree: int
    num_threads: int
    means2d: Means2d


@dataclass(frozen=True)
class _Saved:
    """What the backward pass needs, as arrays."""

    inputs: list[np.ndarray]
    cam: np.ndarray
    g: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    firsts: np.ndarray
    slots: np.ndarray
    ends: np.ndarray
    transmittance: np.ndarray
    rgb: np.ndarray
    depth: np.ndarray
    extra: np.ndarray


def _check(tensors: Sequence[Tensor], sh: Tensor, sh_degree: int) -> None:
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(f"The numba rasterizer takes float32 on the CPU, got {tensor.dtype} on {tensor.device}.")
    if not 0 <= sh_degree <= MAX_SH_DEGREE or sh.shape[1] < (sh_degree + 1) ** 2:
        raise ValueError(f"SH degree {sh_degree} does not fit {sh.shape[1]} coefficients (degrees go up to 3).")


def _announce() -> None:
    """Say so before the first compilation; loading compiled kernels from disk is quick and needs no word."""
    stats = (rasterize.stats, project.stats)
    if not rasterize.signatures and not any(sum(s.cache_hits.values()) for s in stats):
        log.debug("Loading the CPU rasterizer.")


def _forward(call: _Call, inputs: list[np.ndarray], viewmat: np.ndarray) -> tuple[_Saved, np.ndarray]:
    """Project, bin and draw; returns what to save and alpha."""
    means, quats, scales, opacities, sh, extras = inputs
    n, height, width = len(means), call.height, call.width
    cam = pack_camera(viewmat, call.K, width, height)
    g = np.empty((n, COLUMNS), np.float32)
    boxes, counts = np.empty((n, 4), np.int32), np.empty(n, np.int32)
    radii = call.means2d.radii.numpy()
    project(means, quats, scales, opacities, sh, extras, call.sh_degree, cam, width, height, g, boxes, counts, radii)
    tiles_x, tiles_y = -(-width // TILE), -(-height // TILE)
    starts, ids, firsts, slots = bin_into_tiles(g, boxes, counts, tiles_x, tiles_y)
    rgb = np.empty((height, width, 3), np.float32)
    alpha, depth, transmittance = (np.empty((height, width), np.float32) for _ in range(3))
    extra = np.empty((height, width, extras.shape[1]), np.float32)
    ends = np.empty(tiles_x * tiles_y, np.int32)
    rasterize(g, extras, starts, ids, tiles_x, call.num_threads, rgb, alpha, depth, extra, transmittance, ends)
    saved = _Saved(inputs, cam, g, starts, ids, firsts, slots, ends, transmittance, rgb, depth, extra)
    return saved, alpha


def _viewmat_gradient(v_cams: np.ndarray, cam: np.ndarray) -> Tensor:
    """From rotation, translation and position p = −R⁻¹t to the world → camera matrix; its last row gets none."""
    v_cam = v_cams.sum(0)
    rotation, position = cam[:9].reshape(3, 3), cam[12:15]
    back = np.linalg.solve(rotation.T, v_cam[12:15])
    gradient = np.zeros((4, 4), np.float32)
    gradient[:3, :3] = v_cam[:9].reshape(3, 3) - np.outer(back, position)
    gradient[:3, 3] = v_cam[9:12] - back
    return torch.from_numpy(gradient)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs = [tensor.detach().contiguous().numpy() for tensor in tensors[:6]]
        saved, alpha = _forward(call, inputs, tensors[6].detach().numpy())
        ctx.call, ctx.saved = call, saved
        ctx.save_for_backward(*tensors)  # so that autograd notices in-place changes
        ctx.set_materialize_grads(False)
        pictures = (saved.rgb, alpha, saved.depth, saved.extra)
        rgb, alpha_out, depth, extra = (torch.from_numpy(picture) for picture in pictures)
        return rgb, alpha_out, depth, extra

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        call, saved = ctx.call, ctx.saved
        v_rgb, v_alpha, v_depth, v_extra = (_as_array(gradient) for gradient in gradients)
        size = saved.transmittance.shape
        v_rgb = np.zeros((*size, 3), np.float32) if v_rgb is None else v_rgb
        v_alpha = np.zeros(size, np.float32) if v_alpha is None else v_alpha
        extras, extra, v_extra, depth_column = _backward_channels(saved, v_depth, v_extra)
        rows = np.empty((len(saved.ids), GRADIENTS + extras.shape[1]), np.float32)
        tiles_x = -(-call.width // TILE)
        rasterize_backward(
            saved.g, extras, saved.starts, saved.ids, saved.ends, tiles_x, call.num_threads,
            saved.rgb, extra, saved.transmittance, v_rgb, v_alpha, v_extra, rows,
        )  # fmt: skip
        means, quats, scales, opacities, sh, own_extras = saved.inputs
        outputs = [torch.zeros(a.shape) for a in (means, quats, scales, opacities, sh, own_extras)]
        v_means, v_quats, v_scales, v_opacities, v_sh, v_extras = (output.numpy() for output in outputs)
        has_extras = extras.shape[1] > (depth_column >= 0)
        v_means2d, v_cams = torch.zeros(len(means), 2), np.zeros((CHUNKS, CAMERA_GRADIENTS))
        project_backward(
            means, quats, scales, sh, call.sh_degree, saved.cam, saved.g, saved.firsts, saved.slots, rows, depth_column,
            v_means2d.numpy(), v_means, v_quats, v_scales, v_opacities, v_sh,
            v_extras if has_extras else v_extras[:, :0].copy(), v_cams,
        )  # fmt: skip
        call.means2d.grad = v_means2d
        v_viewmat = _viewmat_gradient(v_cams, saved.cam) if ctx.needs_input_grad[7] else None
        return (None, *outputs, v_viewmat)


def _as_array(gradient: Tensor | None) -> np.ndarray | None:
    return None if gradient is None else gradient.contiguous().numpy()


def _backward_channels(
    saved: _Saved, v_depth: np.ndarray | None, v_extra: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Channels beyond colour that have a gradient, as per-Gaussian values, picture and picture gradient.

    Depth comes last; its column among the moments is returned too (−1: no gradient). Channels nobody asks about cost
    nothing.
    """
    values, pictures, gradients = [], [], []
    if v_extra is not None:
        values, pictures, gradients = [saved.inputs[5]], [saved.extra], [v_extra]
    if v_depth is not None:
        values.append(saved.g[:, DEPTH : DEPTH + 1])
        pictures.append(saved.depth[..., None])
        gradients.append(v_depth[..., None])
    if not values:
        nothing = np.empty((*saved.transmittance.shape, 0), np.float32)
        return np.empty((len(saved.g), 0), np.float32), nothing, nothing, -1
    joined = [
        np.concatenate(parts, -1) if len(parts) > 1 else np.ascontiguousarray(parts[0])
        for parts in (values, pictures, gradients)
    ]
    column = GRADIENTS + joined[0].shape[1] - 1 if v_depth is not None else -1
    return joined[0], joined[1], joined[2], column
