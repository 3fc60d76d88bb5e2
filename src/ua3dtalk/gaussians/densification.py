"""Clone, split and prune: gsplat's DefaultStrategy over our Gaussian set (it runs on the CPU too)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ua3dtalk.gaussians.gaussian_set import GaussianSet

STRATEGY_NAMES = {
    "means": "means",
    "quats": "quats",
    "scales": "log_scales",
    "opacities": "opacity_logits",
    "sh": "sh",
}
"""The strategy's parameter names to ours."""


@dataclass(frozen=True, kw_only=True)
class DensificationConfig:
    """Thresholds of 3DGS (Kerbl et al. 2023, section 5), as gsplat's DefaultStrategy names them."""

    start_step: int = 500
    stop_step: int = 15_000
    every: int = 100
    grow_gradient: float = 2e-4
    """Mean 2D gradient norm (normalised screen units) above which a Gaussian is cloned or split."""
    prune_opacity: float = 5e-3
    max_count: int = 60_000
    """Growth stops here, so that memory stays bounded."""


class Densifier:
    """Keeps a ``GaussianSet``, its optimizers and per-Gaussian companions consistent while the count changes.

    Args:
        gaussians: The set; its parameters are replaced in place.
        optimizers: One optimizer for each of its parameters, by our parameter name.
        companions: Tensors with a leading N that must follow (the mesh binding); read them back from ``companion``.
        config: Thresholds.
        seed: Of where halves of split Gaussians come to lie; each step has its own.
        scene_scale_m: Size of the scene that 3D thresholds are relative to, metres.
    """

    def __init__(
        self,
        gaussians: GaussianSet,
        optimizers: Mapping[str, torch.optim.Optimizer],
        companions: Mapping[str, Tensor],
        config: DensificationConfig,
        seed: int = 0,
        scene_scale_m: float = 0.15,
    ) -> None:
        from gsplat.strategy import DefaultStrategy  # not at the top: importing it takes as long as torch

        self._gaussians = gaussians
        self._optimizers = {theirs: optimizers[ours] for theirs, ours in STRATEGY_NAMES.items()}
        self._config, self._seed = config, seed
        self._strategy = DefaultStrategy(
            prune_opa=config.prune_opacity,
            grow_grad2d=config.grow_gradient,
            refine_start_iter=config.start_step,
            refine_stop_iter=config.stop_step,
            refine_every=config.every,
        )
        self.state: dict[str, Any] = self._strategy.initialize_state(scene_scale=scene_scale_m)
        self.state.update(companions)
        self._companions = frozenset(companions)

    def companion(self, name: str) -> Tensor:
        """A companion tensor in the present order of the Gaussians."""
        return self.state[name]

    def tensors(self) -> dict[str, Tensor]:
        """What must be stored to go on exactly, beside Gaussians and companions, which their owner stores."""
        own = {name: value for name, value in self.state.items() if name not in self._companions}
        return {name: value for name, value in own.items() if isinstance(value, Tensor)}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from ``tensors()``."""
        self.state.update({name: value.clone() for name, value in tensors.items()})

    def after_backward(self, step: int, info: dict[str, Any]) -> bool:
        """Accumulate the 2D gradients of this step, and refine when it is time.

        Args:
            step: Step within the stage.
            info: ``Means2d.strategy_info`` of the rendering.

        Returns:
            Whether the number or order of the Gaussians changed.
        """
        if len(self._gaussians) >= self._config.max_count:
            return False
        before = self._gaussians.means
        params = nn.ParameterDict({theirs: getattr(self._gaussians, ours) for theirs, ours in STRATEGY_NAMES.items()})
        place = before.device
        with torch.random.fork_rng([] if place.type == "cpu" else [place.index or 0], device_type=place.type):
            torch.manual_seed(self._seed + step)  # the strategy draws from the global generator
            self._strategy.step_post_backward(params, self._optimizers, self.state, step, info)
        for theirs, ours in STRATEGY_NAMES.items():
            setattr(self._gaussians, ours, params[theirs])
        return self._gaussians.means is not before
