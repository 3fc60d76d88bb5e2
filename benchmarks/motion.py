"""Cost of the motion network: planes, fusion rules and the whole branch, against the published formulation.

The published formulation, written here in our own words: every ensemble member is a network of its own that sees the
concatenated input of every Gaussian; every stream's covariance is an explicit D×D matrix; fusion inverts each of them
and their sum. It runs on as many Gaussians as ours (some gigabytes at 10,000; a thousand scaled up would flatter it by
half, because their matrices fit the cache). Times are process time on one thread, in milliseconds: the best and the
median of the repeats.

Run: python benchmarks/motion.py [--json] [--points 8000] [--repeats 10] [--configs quick,paper]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numba
import numpy as np
import torch
from torch import Tensor

from ua3dtalk.avatar.branch import Branch, BranchConfig
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.ensemble import Ensemble
from ua3dtalk.avatar.fusion import fuse
from ua3dtalk.avatar.heads import HeadConfig
from ua3dtalk.avatar.planes import PlaneConfig, Planes


def configs() -> dict[str, BranchConfig]:
    """The sizes that are measured."""
    quick = BranchConfig(
        planes=PlaneConfig(base=32, multiples=(1, 2, 4), channels=8),
        emotion_planes=PlaneConfig(base=32, multiples=(1, 2), channels=16),
        members=4,
        latent=32,
        hidden=32,
        heads=HeadConfig(hidden=32),
    )
    return {"quick": quick, "paper": BranchConfig()}


def timed(run: Callable[[], object], repeats: int) -> dict[str, float]:
    """Best and median process time in milliseconds, after a warm-up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append((time.process_time() - start) * 1e3)
    return {"best_ms": round(min(times), 2), "median_ms": round(statistics.median(times), 2)}


class Published:
    """One stream's ensemble as separate networks on concatenated inputs."""

    def __init__(self, width: int, config: BranchConfig) -> None:
        sizes = (width, config.hidden, 2 * config.latent)
        self.members = [
            torch.nn.Sequential(
                torch.nn.Linear(sizes[0], sizes[1]), torch.nn.ReLU(), torch.nn.Linear(sizes[1], sizes[2])
            )
            for _ in range(config.members)
        ]

    def __call__(self, x: Tensor, drawn: int | None) -> tuple[Tensor, Tensor]:
        """Means and variances, [M, N, D] each."""
        members = self.members if drawn is None else self.members[drawn : drawn + 1]
        mean, raw = torch.stack([member(x) for member in members]).chunk(2, dim=-1)
        return mean, (8 * torch.tanh(raw / 8)).exp()


def published_fusion(streams: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Explicit covariances, explicit inverses; a single member still pays for its D×D matrices."""
    total, weighted = torch.zeros(()), torch.zeros(())
    for means, variances in streams:
        mean = means.mean(0)
        sigma = torch.diag_embed(variances.mean(0))
        if len(means) > 1:
            centred = means - mean
            sigma = sigma + torch.einsum("mni,mnj->nij", centred, centred) / (len(means) - 1)
        inverse = torch.linalg.inv(sigma)
        total = total + inverse
        weighted = weighted + (inverse @ mean.unsqueeze(-1))
    return (torch.linalg.inv(total) @ weighted).squeeze(-1)


def measure_published(config: BranchConfig, repeats: int, n: int) -> dict[str, dict[str, float]]:
    """Ensembles and fusion of the published formulation, forward and backward."""
    phi = config.planes.width
    widths = {"audio": 38 + phi, "content": 64 + phi, "style": 64 + phi, "emotion": config.emotion_planes.width}
    streams = [(Published(widths[name], config), torch.randn(n, widths[name])) for name in config.streams]

    def step(drawn: int | None) -> None:
        fused = published_fusion([network(x, drawn) for network, x in streams])
        fused.square().sum().backward()

    return {
        "member": timed(lambda: step(0), min(repeats, 3)),
        "ensemble": timed(lambda: step(None), min(repeats, 3)),
    }


def measure_published_fusion(config: BranchConfig, repeats: int, n: int) -> dict[str, dict[str, float]]:
    """The published fusion alone: ensembles' outputs to fused latent, forward and backward."""

    def step(members: int) -> Callable[[], None]:
        shape = (members, n, config.latent)
        outputs = [(torch.randn(shape).requires_grad_(), torch.randn(shape).requires_grad_()) for _ in range(4)]
        return lambda: published_fusion([(mean, raw.exp()) for mean, raw in outputs]).sum().backward()

    return {"member": timed(step(1), min(repeats, 3)), "ensemble": timed(step(config.members), min(repeats, 3))}


def measure_ours(config: BranchConfig, repeats: int, n: int) -> dict[str, dict[str, float]]:
    """Ensembles and fusion of ours, forward and backward, on the inputs of the published formulation."""
    generator, phi = torch.Generator().manual_seed(0), config.planes.width
    widths = {"audio": (phi, 0, 38), "content": (phi, 64, 0), "style": (phi, 64, 0)}
    widths["emotion"] = (0, 0, config.emotion_planes.width)
    sizes = {"members": config.members, "hidden": config.hidden, "latent": config.latent, "generator": generator}
    ensembles = {name: Ensemble(widths=widths[name], **sizes) for name in config.streams}
    field = torch.randn(phi, n)
    frames = {name: torch.randn(w[1]) if w[1] else None for name, w in widths.items()}
    modulated = {name: (torch.randn(w[2], n), torch.randn(w[2])) if w[2] else None for name, w in widths.items()}

    def step(members: slice, covariance: str) -> None:
        outputs = [
            ensemble(ensemble.static(field, members), members, frame=frames[name], modulated=modulated[name])
            for name, ensemble in ensembles.items()
        ]
        fuse(outputs, covariance).square().sum().backward()  # type: ignore[arg-type]

    one, all_of_them = slice(0, 1), slice(None)
    return {
        "member": timed(lambda: step(one, "diagonal"), repeats),
        "diagonal": timed(lambda: step(all_of_them, "diagonal"), repeats),
        "full": timed(lambda: step(all_of_them, "full"), min(repeats, 3)),
    }


def times_faster(ours: dict[str, dict[str, float]], published: dict[str, dict[str, float]]) -> dict[str, float]:
    """Ratio of the medians, by phase."""
    against = {"member": "member", "diagonal": "ensemble", "full": "ensemble"}
    return {k: round(published[v]["median_ms"] / ours[k]["median_ms"], 1) for k, v in against.items()}


def measure_fusion(config: BranchConfig, repeats: int, n: int) -> dict[str, dict[str, float]]:
    """Ours: ensembles' outputs to fused latent, forward and backward, for each rule."""
    generator = torch.Generator().manual_seed(0)

    def step(members: int, covariance: str) -> Callable[[], None]:
        outputs = [torch.randn(members, 2 * config.latent, n, generator=generator).requires_grad_() for _ in range(4)]
        return lambda: fuse(outputs, covariance).sum().backward()  # type: ignore[arg-type]

    return {
        "member": timed(step(1, "diagonal"), repeats),
        "diagonal": timed(step(config.members, "diagonal"), repeats),
        "full": timed(step(config.members, "full"), min(repeats, 3)),
    }


def measure_planes(config: PlaneConfig, repeats: int, n: int) -> dict[str, object]:
    """Sampling, its gradient and a dense Adam step over the table."""
    planes = Planes(config, torch.Generator().manual_seed(0))
    points = (torch.rand(n, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.2
    gradient = torch.randn(config.width, n)

    def both() -> None:
        planes.table.grad = None
        planes(points).backward(gradient)

    def forward() -> None:
        with torch.no_grad():
            planes(points)

    result: dict[str, object] = {"parameters": planes.table.numel(), "forward": timed(forward, repeats)}
    result["forward_backward"] = timed(both, repeats)
    optimizer = torch.optim.Adam([planes.table], fused=True)
    return result | {"adam": timed(optimizer.step, min(repeats, 5))}


def measure_branch(config: BranchConfig, repeats: int, n: int) -> dict[str, dict[str, float]]:
    """The whole branch: a training step's forward and backward in both modes, and inference with the static cache."""
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    shapes = {"audio": (42, 16), "upper": (6,), "lower": (13,), "content": (64,), "style": (64,), "emotion": (128,)}
    track = ConditionTrack.from_arrays(**{k: rng.normal(size=(8, *v)).astype(np.float32) for k, v in shapes.items()})
    frame = track.frame(4)
    branch = Branch(config, generator)
    torch.nn.init.normal_(branch.heads.output, 0, 0.01, generator=generator)
    means = (torch.rand(n, 3, generator=generator) - 0.5) * 0.2
    basis = torch.randn(n, 19, 3, generator=generator) * 1e-3
    gradients = [torch.randn(n, width, generator=generator) for width in (3, 4, 3)]

    def step(mode: str, want_maps: bool = False) -> None:
        branch.zero_grad(set_to_none=True)
        motion = branch(means, basis, frame, mode, generator, want_maps=want_maps)
        torch.autograd.backward([motion.d_means, motion.d_quats, motion.d_log_scales], gradients)

    static = branch.prepare_static(means)

    def infer() -> None:
        with torch.no_grad():
            branch(means, basis, frame, "ensemble", static=static)

    result = {
        "train_member": timed(lambda: step("member"), repeats),
        "train_ensemble": timed(lambda: step("ensemble"), min(repeats, 5)),
        "train_ensemble_maps": timed(lambda: step("ensemble", True), min(repeats, 5)),
    }
    branch.eval()
    return result | {"infer_ensemble_cached": timed(infer, repeats)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--points", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--configs", default="quick,paper")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results: dict[str, object] = {
        "points": arguments.points,
        "machine": platform.processor() or platform.machine(),
        "load_average": [round(x, 1) for x in os.getloadavg()],
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numba": numba.__version__},
    }
    for name in arguments.configs.split(","):
        config = configs()[name]
        results[name] = {
            "planes": measure_planes(config.planes, arguments.repeats, arguments.points),
            "emotion_planes": measure_planes(config.emotion_planes, arguments.repeats, arguments.points),
            "fusion": (fusion := measure_fusion(config, arguments.repeats, arguments.points)),
            "published_fusion": (
                published_alone := measure_published_fusion(config, arguments.repeats, arguments.points)
            ),
            "fusion_times_faster": times_faster(fusion, published_alone),
            "branch": measure_branch(config, arguments.repeats, arguments.points),
            "ensembles_and_fusion": (ours := measure_ours(config, arguments.repeats, arguments.points)),
            "published_ensembles_and_fusion": (
                published := measure_published(config, arguments.repeats, arguments.points)
            ),
            "times_faster": times_faster(ours, published),
        }
    sys.stdout.write(json.dumps(results, indent=None if arguments.json else 2) + "\n")


if __name__ == "__main__":
    main()
