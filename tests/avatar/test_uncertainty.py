"""Tests of the uncertainty maps and of the likelihood."""

from __future__ import annotations

import math

import pytest
import torch

from ua3dtalk.avatar.fusion import fuse_with_precision
from ua3dtalk.avatar.uncertainty import laplace_nll, motion_maps

STREAMS = ("audio", "content", "style")


def outputs(n: int = 40, members: int = 5, d: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(members, 2 * d, n, generator=generator, dtype=torch.float64) for _ in STREAMS]


def test_maps_follow_their_definitions() -> None:
    given = outputs()
    z, precision = fuse_with_precision(given)
    maps = motion_maps(STREAMS, given, (z, precision), torch.zeros(40, 2))
    d = 6
    a = torch.stack([(8 * torch.tanh(o[:, d:] / 8)).exp().mean(0) for o in given])
    e = torch.stack([o[:, :d].var(0, unbiased=True) for o in given])
    m = torch.stack([o[:, :d].mean(0) for o in given])
    p = 1 / (a + e)
    share = p / p.sum(0)
    torch.testing.assert_close(maps.aleatoric, a.mean(1).t())
    torch.testing.assert_close(maps.epistemic, e.mean(1).t())
    torch.testing.assert_close(maps.conflict, ((m - z).square() * p).mean(1).t())
    torch.testing.assert_close(maps.trust, share.mean(1).t())
    torch.testing.assert_close(maps.trust.sum(1), torch.ones(40).double())
    torch.testing.assert_close(maps.fused_deviation.square(), (1 / p.sum(0)).mean(0))
    torch.testing.assert_close(maps.fused_aleatoric + maps.fused_epistemic, maps.fused_deviation.square())
    assert set(maps.stream_means()) == set(STREAMS)
    assert maps.stream_means()["style"]["trust"] == pytest.approx(float(maps.trust[:, 2].mean()))


def test_missing_stream_is_zero_and_trust_goes_to_the_others() -> None:
    given = [*outputs()[:2], None]
    maps = motion_maps(STREAMS, given, fuse_with_precision(given), torch.zeros(40, 1))
    for values in (maps.aleatoric, maps.epistemic, maps.conflict, maps.trust):
        assert torch.count_nonzero(values[:, 2]) == 0
    torch.testing.assert_close(maps.trust[:, :2].sum(1), torch.ones(40).double())


def test_a_stream_that_is_sure_of_something_else_shows_as_conflict_not_as_doubt() -> None:
    generator = torch.Generator().manual_seed(0)
    given = [0.1 * torch.randn(4, 8, 30, generator=generator) for _ in STREAMS]
    for output in given:
        output[:, 4:] = -4
    given[1][:, :4, :15] += 3.0
    maps = motion_maps(STREAMS, given, fuse_with_precision(given), torch.zeros(30, 1))
    assert maps.conflict[:15, 1].min() > 10 * maps.conflict[15:, 1].max()
    assert maps.epistemic[:15, 1].mean() < 2 * maps.epistemic[15:, 1].mean()


def test_only_the_deviation_carries_a_gradient() -> None:
    given = [output.requires_grad_() for output in outputs()]
    maps = motion_maps(STREAMS, given, fuse_with_precision(given), torch.zeros(40, 1).requires_grad_())
    with_gradient = [name for name, value in vars(maps).items() if getattr(value, "requires_grad", False)]
    assert with_gradient == ["fused_deviation"]
    maps.fused_deviation.sum().backward()
    assert all(output.grad[:, 6:].abs().sum() > 0 for output in given)


def test_likelihood_is_least_where_the_scale_equals_the_mean_error() -> None:
    error = -torch.log(torch.rand(20000, generator=torch.Generator().manual_seed(0))) * 0.05
    deviation = torch.tensor(0.5, requires_grad=True)
    optimizer = torch.optim.Adam([deviation], lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss = laplace_nll(deviation.expand_as(error), error)
        loss.backward()
        optimizer.step()
    assert float(deviation.detach()) + 1e-3 == pytest.approx(float(error.mean()), rel=0.02)
    assert float(loss.detach()) == pytest.approx(1 + math.log(2 * 0.05), abs=0.02)


def test_deviation_gradient_by_finite_differences() -> None:
    given = [output[:, :, :3].clone().requires_grad_() for output in outputs()]

    def deviation(*streams: torch.Tensor) -> torch.Tensor:
        fused = fuse_with_precision(list(streams))
        return motion_maps(STREAMS, list(streams), fused, torch.zeros(3, 1)).fused_deviation + fused[0].sum(0)

    assert torch.autograd.gradcheck(deviation, given)


def test_fast_and_exact_maps_agree() -> None:
    exact = [output.requires_grad_() for output in outputs()]
    rough = [output.detach().float().requires_grad_() for output in exact]
    a, b = (motion_maps(STREAMS, o, fuse_with_precision(o), torch.zeros(40, 1)) for o in (rough, exact))
    for name in ("aleatoric", "epistemic", "conflict", "trust", "fused_deviation", "fused_aleatoric"):
        torch.testing.assert_close(getattr(a, name).double(), getattr(b, name), rtol=2e-5, atol=1e-6)  # measured 1e-6
    a.fused_deviation.sum().backward()
    b.fused_deviation.sum().backward()
    for x, y in zip(rough, exact, strict=True):
        torch.testing.assert_close(x.grad.double(), y.grad, rtol=1e-4, atol=1e-6)
