"""The float32 kernels of full-covariance fusion against float64 torch, which test_fusion.py holds to a textbook.

Torch in float32 is as far off as the kernels in every case here.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from ua3dtalk.avatar.fusion import fuse

BLOCK = 64
"""Gaussians that the kernels work on at a time."""


def random_outputs(streams: int, members: int, d: int, n: int, spread: float = 1.0) -> list[Tensor]:
    """float32; members' means around 5, log variances of some size."""
    generator = torch.Generator().manual_seed(streams * 1000 + members * 100 + n)
    scale, offset = torch.tensor([spread, 2.0]).repeat_interleave(d)[:, None], torch.tensor([5.0, 0.0])
    offset = offset.repeat_interleave(d)[:, None]
    return [torch.randn(members, 2 * d, n, generator=generator) * scale + offset for _ in range(streams)]


def solved(outputs: list[Tensor | None], weight: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The latent, and the gradients of its sum weighted by `weight`, of the present streams."""
    leaves = [None if output is None else output.clone().requires_grad_() for output in outputs]
    z = fuse(leaves, "full")
    gradients = torch.autograd.grad(z, [leaf for leaf in leaves if leaf is not None], weight.to(z))
    return z.detach(), list(gradients)


def worst(outputs: list[Tensor | None]) -> tuple[float, float]:
    """Largest error of the latent, and of the gradients, both over the largest number in float64."""
    like = next(output for output in outputs if output is not None)
    shape = like.shape[1] // 2, like.shape[2]
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(9))
    z, gradients = solved(outputs, weight)
    exact, exact_gradients = solved([None if output is None else output.double() for output in outputs], weight)
    assert z.dtype == torch.float32
    largest = max(float(gradient.abs().max()) for gradient in exact_gradients)
    errors = [float((a - b).abs().max()) for a, b in zip(gradients, exact_gradients, strict=True)]
    return float((z - exact).abs().max() / exact.abs().max()), max(errors) / largest


@pytest.mark.parametrize("n", [1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 21])
def test_any_number_of_gaussians(n: int) -> None:
    value, gradient = worst(random_outputs(3, 4, 5, n))
    assert value < 3e-6 and gradient < 2e-5  # measured: 8e-7, 4e-6


@pytest.mark.parametrize("streams", [1, 2, 4])
@pytest.mark.parametrize("members", [2, 3, 4, 5, 10])
def test_any_number_of_members_and_streams(members: int, streams: int) -> None:
    """Ranks that fill the kernels' tiles of three (4 and 10 members) and ranks that do not."""
    value, gradient = worst(random_outputs(streams, members, 16, 40))
    assert value < 5e-6 and gradient < 4e-5  # measured: 2e-6, 9e-6


@pytest.mark.parametrize("missing", [0, 2])
def test_absent_streams(missing: int) -> None:
    outputs: list[Tensor | None] = list(random_outputs(4, 10, 48, 33))
    outputs[missing] = None
    value, gradient = worst(outputs)
    assert value < 2e-6 and gradient < 1e-5  # measured: 3e-7, 2e-6


def test_members_that_differ_a_thousand_times_more_than_they_doubt() -> None:
    """More members than latent numbers, too: K's condition number is some millions."""
    value, gradient = worst(random_outputs(4, 10, 12, 40, spread=1000.0))
    assert value < 3e-2 and gradient < 3e-2  # measured: 7e-3, 6e-3


def test_the_factor_exists_whatever_is_rounded() -> None:
    """Streams of a precision of thousands and of nearly none, members a thousand apart: pivots drown in rounding."""
    outputs = random_outputs(4, 10, 12, 64, spread=1000.0)
    for s, output in enumerate(outputs):
        output[:, 12:] = -1e4 if s % 2 else 3.0
    z, gradients = solved(outputs, torch.ones(12, 64))
    assert torch.isfinite(z).all() and all(torch.isfinite(gradient).all() for gradient in gradients)


def test_no_gaussian() -> None:
    z, gradients = solved([torch.zeros(3, 8, 0)] * 2, torch.zeros(4, 0))
    assert z.shape == (4, 0) and all(gradient.shape == (3, 8, 0) for gradient in gradients)


def test_extreme_log_variances() -> None:
    """As far as the bound lets them: certain, hopeless, and infinite."""
    outputs = random_outputs(4, 10, 12, 20)
    for output, value in zip(outputs, (1e4, -1e4, float("inf"), float("-inf")), strict=True):
        output[:, 12:] = value
    value, gradient = worst(outputs)
    assert value < 1e-3 and gradient < 4e-3  # measured: 3e-4, 9e-4


def test_one_gaussian_that_is_nan_stays_alone() -> None:
    outputs, weight = random_outputs(2, 4, 3, 50), torch.ones(3, 50)
    z, gradients = solved(outputs, weight)
    outputs[0][1, 4, 7] = float("nan")
    spoilt, spoilt_gradients = solved(outputs, weight)
    others = torch.arange(50) != 7
    assert torch.isnan(spoilt[:, 7]).any() and torch.equal(spoilt[:, others], z[:, others])
    for a, b in zip(spoilt_gradients, gradients, strict=True):
        assert torch.equal(a[..., others], b[..., others])


def test_inputs_and_gradients_need_not_be_contiguous() -> None:
    outputs, weight = random_outputs(2, 4, 5, 70), torch.randn(70, 5).t()
    z, gradients = solved(outputs, weight.contiguous())
    turned = [output.transpose(1, 2).contiguous().transpose(1, 2) for output in outputs]
    y, others = solved(turned, weight)
    assert torch.equal(z, y) and all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))


THREADS = """
import sys, numba, torch
from ua3dtalk.avatar.fusion import fuse
generator = torch.Generator().manual_seed(0)
outputs = [torch.randn(4, 10, 1013, generator=generator).requires_grad_() for _ in range(3)]
assert numba.get_num_threads() == int(sys.argv[1])
z = fuse(outputs, "full")
z.square().sum().backward()
sys.stdout.buffer.write(b"".join(x.detach().numpy().tobytes() for x in (z, *(o.grad for o in outputs))))
"""


def test_one_thread_and_two_give_the_same_bits() -> None:
    found = []
    for threads in ("1", "2"):
        environment = os.environ | {"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", THREADS, threads]
        found.append(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(found[0]) == 4 * 1013 * (5 + 3 * 40)
    assert np.isfinite(np.frombuffer(found[0], np.float32)).all()
    assert found[0] == found[1]
