"""Speed of the CPU rasterizer, against a vectorised per-tile rasterizer in plain torch.

Run it alone: ``python benchmarks/render.py [--json out.json]``. Times are medians in milliseconds and include
projection and everything between the caller's tensors and its pictures or gradients. ``cpu_ms`` is the process's time
over all threads; on a busy machine it is the steadier number for one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numba
import torch
from torch import Tensor

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.geometry.spherical_harmonics import evaluate_sh
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.render.rasterizer import MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE
from ua3dtalk.render.reference import project
from ua3dtalk.render.types import Splats

TILE = 16


def head_scene(n: int, size: int) -> tuple[Splats, Camera]:
    """Gaussians of 1 to 2.7 pixels (at 512²) on a head and shoulders, as a trained avatar has them."""
    g = torch.Generator().manual_seed(0)
    head = 3 * n // 4
    normal = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=-1)
    radii = torch.tensor([0.09, 0.12, 0.09]).expand(n, 3).clone()
    radii[head:] = torch.tensor([0.16, 0.08, 0.09])
    means = normal * radii
    means[head:, 1] -= 0.17
    pixel_m = 0.6 / (2 * 512)  # Gaussians keep their size on the head, not on the picture
    scales = pixel_m * (1 + 1.67 * torch.rand(n, 1, generator=g)) * (0.7 + 0.6 * torch.rand(n, 3, generator=g))
    opacities = 0.3 + 0.69 * torch.rand(n, generator=g)
    splats = Splats(means, torch.randn(n, 4, generator=g), scales, opacities, torch.rand(n, 1, 3, generator=g))
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 0.6
    K = torch.tensor([[2.0 * size, 0, size / 2], [0, 2 * size, size / 2], [0, 0, 1]])
    return splats, Camera(viewmat, K, size, size)


def torch_per_tile(splats: Splats, camera: Camera) -> tuple[Tensor, Tensor]:
    """The yardstick: all Gaussians of a tile against its 256 pixels at once, gradients by autograd."""
    projected = project(splats, camera)
    colours = evaluate_sh(splats.sh, splats.means - camera.position(), 0)
    conics = torch.linalg.inv(projected.covariances)
    with torch.no_grad():
        order = torch.argsort(projected.depths)
        order = order[projected.visible[order]]
        extent = (2 * torch.log(splats.opacities / MIN_ALPHA).clamp_min(0)).sqrt()[:, None]
        half = extent * projected.covariances.diagonal(dim1=-2, dim2=-1).sqrt()
        low, high = (projected.means2d - half)[order], (projected.means2d + half)[order]
    offsets = torch.arange(TILE) + 0.5
    rows = []
    for y in range(0, camera.height, TILE):
        line = []
        for x in range(0, camera.width, TILE):
            corner = torch.tensor([x, y])
            ids = order[((high > corner) & (low < corner + TILE)).all(-1)]
            dx = (x + offsets)[None, None] - projected.means2d[ids, 0, None, None]
            dy = (y + offsets)[None, :, None] - projected.means2d[ids, 1, None, None]
            c = conics[ids][..., None, None]
            sigma = 0.5 * (c[:, 0, 0] * dx * dx + c[:, 1, 1] * dy * dy) + c[:, 0, 1] * dx * dy
            alpha = (splats.opacities[ids, None, None] * torch.exp(-sigma)).clamp_max(MAX_ALPHA)
            alpha = torch.where(alpha >= MIN_ALPHA, alpha, 0.0)
            after = torch.cumprod(1 - alpha, 0)
            before = torch.cat([torch.ones_like(after[:1]), after[:-1]]) if len(ids) else after
            weights = torch.where(after > MIN_TRANSMITTANCE, alpha * before, 0.0)
            line.append(torch.cat([torch.einsum("nhw,nc->hwc", weights, colours[ids]), weights.sum(0)[..., None]], -1))
        rows.append(torch.cat(line, 1))
    picture = torch.cat(rows)[: camera.height, : camera.width]
    return picture[..., :3], picture[..., 3]


def median_ms(run: Callable[[], object], repeats: int) -> dict[str, float]:
    """Median wall-clock and process time of ``run``, after a warm-up."""
    run()
    wall, cpu = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        run()
        wall.append(1e3 * (time.perf_counter() - start[0]))
        cpu.append(1e3 * (time.process_time() - start[1]))
    return {"wall_ms": round(statistics.median(wall), 2), "cpu_ms": round(statistics.median(cpu), 2)}


def measure(draw: Callable[[Splats], tuple[Tensor, Tensor]], splats: Splats, repeats: int) -> dict[str, dict]:
    """Forward without gradients, and forward with backward."""
    leaves = Splats(*(value.clone().requires_grad_() for value in vars(splats).values()))
    rgb, alpha = draw(splats)
    g = torch.Generator().manual_seed(1)
    weights = [torch.randn(rgb.shape, generator=g), torch.randn(alpha.shape, generator=g)]

    def step() -> None:
        torch.autograd.backward(draw(leaves), weights)

    return {"forward": median_ms(lambda: draw(splats), repeats), "step": median_ms(step, repeats)}


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--skip-torch", action="store_true", help="leave out the slow yardstick")
    args = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(__file__).resolve().parents[1]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout.strip()
    results = []
    for size in (256, 512):
        for n in (2_000, 8_000, 20_000):
            splats, camera = head_scene(n, size)
            yardstick = None if args.skip_torch else measure(lambda s, c=camera: torch_per_tile(s, c), splats, 1)
            for threads in (1, 2):
                rasterizer = NumbaRasterizer(threads)

                def draw(s: Splats, r: NumbaRasterizer = rasterizer, c: Camera = camera) -> tuple[Tensor, Tensor]:
                    out = r(s, c)
                    return out.rgb, out.alpha

                row = {"gaussians": n, "size": size, "threads": threads, **measure(draw, splats, args.repeats)}
                if yardstick is not None:
                    row["torch_per_tile"] = yardstick
                    row["times_faster"] = round(yardstick["step"]["wall_ms"] / row["step"]["wall_ms"], 1)
                results.append(row)
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()
    report = {"commit": commit, "machine": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
    report |= {"load": os.getloadavg(), "numba": numba.__version__, "torch": torch.__version__, "results": results}
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
