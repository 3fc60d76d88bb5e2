"""Cloning and pruning keep parameters, optimizer moments and companions in step."""

from __future__ import annotations

import torch

from ua3dtalk.gaussians.densification import DensificationConfig, Densifier
from ua3dtalk.gaussians.gaussian_set import GaussianSet
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.render.types import Means2d

CAMERA = Camera(torch.eye(4), torch.eye(3), 64, 64)


def _set(n: int) -> GaussianSet:
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(n, 3, generator=generator) * 0.1
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    return GaussianSet(means, quats, torch.full((n, 3), -6.0), torch.full((n,), 2.0), torch.zeros(n, 1, 3))


def test_large_gradients_clone_and_faint_ones_go() -> None:
    gaussians = _set(10)
    with torch.no_grad():
        gaussians.opacity_logits[9] = -9.0
    optimizers = {name: torch.optim.Adam([p], lr=1e-3) for name, p in gaussians.named_parameters()}
    for optimizer in optimizers.values():
        parameter = optimizer.param_groups[0]["params"][0]
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    basis = torch.arange(10.0).reshape(10, 1, 1).repeat(1, 19, 3)
    config = DensificationConfig(start_step=0, stop_step=100, every=1)
    densifier = Densifier(gaussians, optimizers, {"mesh_basis": basis}, config)
    means2d = Means2d(torch.full((10,), 3))
    means2d.grad = torch.zeros(10, 2)
    means2d.grad[0] = 1.0
    changed = densifier.after_backward(1, means2d.strategy_info(CAMERA))
    assert changed
    assert len(gaussians) == 10  # one cloned, one pruned
    followed = densifier.companion("mesh_basis")[:, 0, 0]
    assert sorted(followed.tolist()) == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    for name, optimizer in optimizers.items():
        parameter = optimizer.param_groups[0]["params"][0]
        assert parameter is getattr(gaussians, name)
        assert optimizer.state[parameter]["exp_avg"].shape == parameter.shape


def test_growth_is_bounded() -> None:
    gaussians = _set(4)
    optimizers = {name: torch.optim.Adam([p], lr=1e-3) for name, p in gaussians.named_parameters()}
    config = DensificationConfig(start_step=0, every=1, max_count=4)
    densifier = Densifier(gaussians, optimizers, {}, config)
    means2d = Means2d(torch.full((4,), 3))
    means2d.grad = torch.ones(4, 2)
    assert not densifier.after_backward(1, means2d.strategy_info(CAMERA))
    assert len(gaussians) == 4


def test_a_split_is_repeatable_and_leaves_the_global_generator_alone() -> None:
    made = []
    for seed in (0, 0, 1):
        gaussians = _set(6)
        with torch.no_grad():
            gaussians.log_scales.fill_(-2.0)  # large: split, not cloned
        optimizers = {name: torch.optim.Adam([p], lr=1e-3) for name, p in gaussians.named_parameters()}
        densifier = Densifier(gaussians, optimizers, {}, DensificationConfig(start_step=0, every=1), seed)
        means2d = Means2d(torch.full((6,), 3))
        means2d.grad = torch.ones(6, 2)
        before = torch.get_rng_state()
        assert densifier.after_backward(1, means2d.strategy_info(CAMERA))
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)  # somebody else draws
        made.append(gaussians.means.detach().clone())
    assert len(made[0]) == 12 and torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_companions_are_stored_by_their_owner() -> None:
    gaussians, basis = _set(4), torch.zeros(4, 19, 3)
    optimizers = {name: torch.optim.Adam([p], lr=1e-3) for name, p in gaussians.named_parameters()}
    densifier = Densifier(gaussians, optimizers, {"mesh_basis": basis}, DensificationConfig())
    assert "mesh_basis" not in densifier.tensors() and densifier.companion("mesh_basis") is basis
