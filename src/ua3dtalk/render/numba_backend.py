"""The CPU back-end: numba kernels behind the project's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numba
import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.core.progress import log
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.spherical_harmonics import MAX_SH_DEGREE
from ua3dtalk.render import numba_forward
from ua3dtalk.render.numba_operator import Call, RasterizeOperator, Workers
from ua3dtalk.render.types import Means2d, RenderOutput, Splats

MAX_DEFAULT_THREADS = 8


class NumbaRasterizer:
    """Draws on the CPU with kernels that numba compiles on first use and keeps on disk.

    Gaussians with a non-finite number are left out and get no gradient.

    Args:
        num_threads: Threads to use, at least 1; None takes what numba is set to (``NUMBA_NUM_THREADS``, else the
            cores), but not more than 8. The picture and its gradients do not depend on it, to the bit.
    """

    name = "numba"

    def __init__(self, num_threads: int | None = None) -> None:
        if num_threads is None:
            num_threads = min(numba.get_num_threads(), MAX_DEFAULT_THREADS)
        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1, got {num_threads}.")
        self._workers = Workers(num_threads)

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
        _announce()
        means2d = Means2d(torch.empty(len(splats), dtype=torch.int32))
        call = Call(camera.K.detach().numpy(), camera.width, camera.height, sh_degree, self._workers, means2d)
        rgb, alpha, depth, extra = RasterizeOperator.apply(call, *tensors)  # type: ignore[misc]
        return RenderOutput(rgb, alpha, depth, extra, means2d)


def _check(tensors: Sequence[Tensor], sh: Tensor, sh_degree: int) -> None:
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(f"The numba rasterizer takes float32 on the CPU, got {tensor.dtype} on {tensor.device}.")
        if tensor.shape[0] != sh.shape[0] and tensor is not tensors[-1]:
            raise ValueError(f"All fields need the same number of Gaussians, got {[t.shape[0] for t in tensors[:-1]]}.")
    if not 0 <= sh_degree <= MAX_SH_DEGREE or sh.shape[1] < (sh_degree + 1) ** 2:
        raise ValueError(f"SH degree {sh_degree} does not fit {sh.shape[1]} coefficients (degrees go up to 3).")


def _announce() -> None:
    """Say so before the first compilation; loading compiled kernels from disk is quick and needs no word."""
    kernel = numba_forward.rasterize
    if kernel.signatures:
        return
    source = Path(numba_forward.__file__)
    compiled = Path(kernel.stats.cache_path or source.parent).glob(f"{source.stem}.{kernel.py_func.__name__}-*.nbi")
    if not any(index.stat().st_mtime >= source.stat().st_mtime for index in compiled):
        log.info("Compiling the CPU rasterizer: about half a minute, once; later runs read it from disk.")
