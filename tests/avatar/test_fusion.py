"""Fusion against a dense textbook implementation: explicit covariances, explicit inverses, autograd, float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ua3dtalk.avatar.fusion import fuse, fuse_with_precision
from ua3dtalk.avatar.fusion_full import helmert

# Measured worst difference to the textbook over all cases below: 3e-14 in values, 9e-14 in gradients.
TOLERANCE = dict(rtol=1e-8, atol=1e-10)


def textbook(outputs: list[Tensor | None], covariance: str) -> Tensor:
    """(Σ Σ_s⁻¹)⁻¹ Σ Σ_s⁻¹ m_s, one Gaussian at a time; the uniform rule has Σ_s = 1."""
    present = [output for output in outputs if output is not None]
    members, rows, n = present[0].shape
    d = rows // 2
    fused = []
    for i in range(n):
        precision, weighted = torch.zeros(d, d).double(), torch.zeros(d).double()
        for output in present:
            means = output[:, :d, i]
            log_variances = 8 * torch.tanh(output[:, d:, i] / 8)
            mean = means.sum(0) / members
            sigma = torch.diag(log_variances.exp().sum(0) / members)
            if members > 1:
                spread = sum(torch.outer(row - mean, row - mean) for row in means) / (members - 1)
                sigma = sigma + (spread if covariance == "full" else torch.diag(torch.diagonal(spread)))
            if covariance == "uniform":
                sigma = torch.eye(d).double() + 0 * sigma
            inverse = torch.linalg.inv(sigma)
            precision = precision + inverse
            weighted = weighted + inverse @ mean
        fused.append(torch.linalg.inv(precision) @ weighted)
    return torch.stack(fused, dim=1)


def random_outputs(streams: int, members: int, d: int = 6, n: int = 5, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.cat([torch.full((d, 1), 2.0), torch.full((d, 1), 3.0)]).double()
    return [
        (torch.randn(members, 2 * d, n, generator=generator, dtype=torch.float64) * scale).requires_grad_()
        for _ in range(streams)
    ]


@pytest.mark.parametrize("missing", [None, 0, 2])
@pytest.mark.parametrize("streams", [3, 4])
@pytest.mark.parametrize(
    ("covariance", "members"),
    [("diagonal", 1), ("diagonal", 10), ("full", 1), ("full", 2), ("full", 10), ("uniform", 1), ("uniform", 10)],
)
def test_agrees_with_textbook_in_values_and_gradients(
    covariance: str, members: int, streams: int, missing: int | None
) -> None:
    outputs = random_outputs(streams, members)
    given = [None if s == missing else output for s, output in enumerate(outputs)]
    leaves = [output for output in given if output is not None]
    z, expected = fuse(given, covariance), textbook(given, covariance)
    torch.testing.assert_close(z, expected, **TOLERANCE)
    weight = torch.randn(z.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad((z * weight).sum(), leaves),
        torch.autograd.grad((expected * weight).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize(("covariance", "members"), [("diagonal", 1), ("diagonal", 4), ("full", 4), ("uniform", 4)])
def test_gradcheck(covariance: str, members: int) -> None:
    outputs = random_outputs(3, members, d=3, n=2)
    assert torch.autograd.gradcheck(lambda *o: fuse(list(o), covariance), outputs)


@pytest.mark.parametrize(("covariance", "members"), [("diagonal", 1), ("diagonal", 10), ("full", 10), ("uniform", 10)])
def test_float32_is_close_to_float64(covariance: str, members: int) -> None:
    exact = random_outputs(4, members, d=16, n=300)
    rough = [output.detach().float().requires_grad_() for output in exact]
    z, reference = fuse(rough, covariance), fuse(exact, covariance)
    assert (z - reference).abs().max() < 3e-5 * reference.abs().max()  # measured: 1e-6 (diagonal), 3e-6 (full)
    z.square().sum().backward()
    reference.square().sum().backward()
    for a, b in zip(rough, exact, strict=True):
        assert (a.grad - b.grad).abs().max() < 1e-4 * b.grad.abs().max()  # measured: 4e-6 (diagonal), 9e-6 (full)


def test_float32_path_agrees_per_element_over_odd_sizes() -> None:
    """Block and vector tails: sizes around the kernels' block."""
    for n in (1, 7, 255, 256, 257, 1000):
        exact = random_outputs(3, 4, d=5, n=n, seed=n)
        rough = [output.detach().float().requires_grad_() for output in exact]
        z, reference = fuse(rough), fuse(exact)
        torch.testing.assert_close(z.double(), reference, rtol=2e-5, atol=2e-5)  # measured 5e-6
        z.sum().backward()
        reference.sum().backward()
        for a, b in zip(rough, exact, strict=True):
            torch.testing.assert_close(a.grad.double(), b.grad, rtol=1e-4, atol=2e-5)


def test_extreme_log_variances_stay_finite() -> None:
    outputs = [torch.full((3, 8, 4), value).requires_grad_() for value in (1e4, -1e4, 0.0)]
    for covariance in ("diagonal", "full", "uniform"):
        z = fuse(outputs, covariance)
        z.sum().backward()
        assert torch.isfinite(z).all() and all(torch.isfinite(o.grad).all() for o in outputs)


def test_helmert_rows_rebuild_the_unbiased_covariance() -> None:
    members = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = helmert(7, members) @ members
    torch.testing.assert_close(turned[0], members.mean(0))
    torch.testing.assert_close(turned[1:].t() @ turned[1:], torch.cov(members.t()))


def test_uniform_hears_nothing_of_the_variances() -> None:
    outputs = random_outputs(3, 4, d=3)
    louder = [output.detach().clone() for output in outputs]
    for output in louder:
        output[:, 3:] += 5
    assert torch.equal(fuse(outputs, "uniform"), fuse(louder, "uniform"))
    fuse(outputs, "uniform").sum().backward()
    assert all(torch.count_nonzero(output.grad[:, 3:]) == 0 for output in outputs)


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("covariance", ["diagonal", "full", "uniform"])
def test_the_precision_is_the_diagonal_rules_whatever_fuses(covariance: str, members: int) -> None:
    outputs = [*random_outputs(3, members, d=3), None]
    fused, precision = fuse_with_precision(outputs, covariance)
    torch.testing.assert_close(fused, fuse(outputs, covariance), rtol=0, atol=0)
    torch.testing.assert_close(precision, fuse_with_precision(outputs)[1], rtol=0, atol=0)


def test_no_present_stream_is_refused() -> None:
    for covariance in ("diagonal", "full", "uniform"):
        with pytest.raises(ValueError, match="at least one present stream"):
            fuse([None, None], covariance)
