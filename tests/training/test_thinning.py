"""Thinned motion: anchors keep their own, the others lie between their nearest, the mesh moves all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_run, tiny_subject

from ua3dtalk.training import thinning as module
from ua3dtalk.training.loop import plan_step, stage_tools, thin
from ua3dtalk.training.step import animate
from ua3dtalk.training.thinning import Thinning


def _head(n: int) -> torch.Tensor:
    normal = torch.nn.functional.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    return 0.1 * normal


def test_followers_lie_between_their_nearest() -> None:
    means = _head(4000)
    thinning = Thinning.draw(means, 0.25, torch.Generator().manual_seed(1))
    assert thinning is not None and len(thinning.anchors) == 1000
    assert np.allclose(thinning.weights.sum(axis=1), 1, atol=1e-6)
    field = lambda x: torch.stack([(20 * x[:, 0]).sin(), x[:, 1] * x[:, 2] * 100], 1)  # noqa: E731
    spread = thinning.mean(field(means[thinning.anchors]))
    assert torch.allclose(spread[thinning.anchors], field(means)[thinning.anchors], atol=1e-4)
    # Measured .037: a field of 0.3 m wave length on points that are 5.6 mm apart, anchors 11 mm.
    assert (spread - field(means)).square().mean().sqrt() < 0.05


def test_gradients_reach_the_anchors_by_weight() -> None:
    means = _head(2000).double()
    thinning = Thinning.draw(means, 0.2, torch.Generator().manual_seed(1))
    assert thinning is not None
    thinning = replace(thinning, weights=thinning.weights.astype(np.float64))
    values = torch.randn(400, 4, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(2000, 4, dtype=torch.float64)
    (thinning.mean(values) * pull).sum().backward()
    dense = torch.from_numpy(thinning.weights.toarray())
    assert torch.allclose(values.grad, dense.t() @ pull)  # type: ignore[arg-type]


def test_the_mesh_moves_every_gaussian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST", 10)
    run = tiny_run(tiny_subject(tmp_path / "subject"), replace(tiny_config(), thinning=0.3))
    stage = run.config.stages[2]
    tools = stage_tools(run, stage)
    assert tools is not None
    plan = plan_step(run, stage, tools.sampler, 5, thin(run, stage))
    layer = run.layers["face"]
    moved, _ = animate(layer, plan, run.generator)
    mesh = layer.motion.mesh_motion(layer.mesh_basis, plan.conditions)
    assert moved.residual is not None and moved.d_quats is not None and len(moved.d_quats) == len(layer.gaussians)
    assert torch.allclose(moved.d_means - moved.residual, mesh.d_means, atol=1e-9)


def test_small_layers_are_not_thinned() -> None:
    assert Thinning.draw(_head(module.FEWEST - 1), 0.25, torch.Generator()) is None
    assert Thinning.draw(_head(2000), 1.0, torch.Generator()) is None
