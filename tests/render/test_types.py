"""The holder of projected gradients works with gsplat's densification as it is."""

from __future__ import annotations

import pytest
import torch
from gsplat.strategy import DefaultStrategy

from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.render.types import Means2d


def test_default_strategy_accepts_it(scene, gradients_of) -> None:
    out, gradients = gradients_of(NumbaRasterizer(), scene)
    strategy = DefaultStrategy(refine_scale2d_stop_iter=10)
    names = ("means", "scales", "quats", "opacities")
    params = {name: torch.nn.Parameter(getattr(scene.splats, name).clone()) for name in names}
    optimizers = {name: torch.optim.Adam([p]) for name, p in params.items()}
    state = strategy.initialize_state(scene_scale=0.15)
    info = out.means2d.strategy_info(scene.camera)
    strategy.step_pre_backward(params, optimizers, state, 1, info)
    strategy.step_post_backward(params, optimizers, state, 1, info)
    drawn = out.means2d.radii > 0
    assert torch.equal(state["count"] > 0, drawn)
    expected = (gradients["means2d"] * torch.tensor([101 / 2, 90 / 2])).norm(dim=-1)
    assert torch.allclose(state["grad2d"], expected * drawn)
    assert torch.allclose(state["radii"], out.means2d.radii / 101)


def test_before_backward_there_is_no_gradient(scene) -> None:
    info = Means2d(torch.zeros(3, dtype=torch.int32)).strategy_info(scene.camera)
    with pytest.raises(ValueError, match="call backward"):
        _ = info["means2d"].grad
