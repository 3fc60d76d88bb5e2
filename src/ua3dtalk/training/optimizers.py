"""One Adam for each parameter of the Gaussians, one for planes, one for networks; rates decay together."""

from __future__ import annotations

import torch
from torch import Tensor

from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.training.config import RateConfig

GAUSSIAN_PARAMETERS = ("means", "quats", "log_scales", "opacity_logits", "sh")
NEGLIGIBLE = 1e-15


class LayerOptimizer:
    """The optimizers of one layer.

    Args:
        layer: What is trained.
        rates: Initial learning rates.
        scale: Factor on all of them (of the stage).
    """

    def __init__(self, layer: AvatarLayer, rates: RateConfig, scale: float) -> None:
        self._final = rates.final
        planes = [p for name, p in layer.motion.named_parameters() if "planes" in name]
        networks = [p for name, p in layer.motion.named_parameters() if "planes" not in name]
        groups = {name: [getattr(layer.gaussians, name)] for name in GAUSSIAN_PARAMETERS}
        groups |= {"planes": planes, "networks": networks}
        self.by_name: dict[str, torch.optim.Adam] = {}
        self._start: dict[str, float] = {}
        for name, parameters in groups.items():
            rate = getattr(rates, name) * scale
            self._start[name] = rate
            self.by_name[name] = torch.optim.Adam(parameters, lr=rate, betas=rates.betas, eps=NEGLIGIBLE, fused=True)

    def step(self, progress: float, moving: bool) -> None:
        """One step of all optimizers.

        Args:
            progress: Position in the stage, 0..1; rates decay exponentially to ``rates.final``.
            moving: Whether the motion networks take part.
        """
        for name, optimizer in self.by_name.items():
            if name in ("planes", "networks") and not moving:
                continue
            optimizer.param_groups[0]["lr"] = self._start[name] * self._final**progress
            optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer in self.by_name.values():
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """All moments and counters as named tensors."""
        tensors: dict[str, Tensor] = {}
        for name, optimizer in self.by_name.items():
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                for key, value in optimizer.state.get(parameter, {}).items():
                    tensors[f"{name}.{index}.{key}"] = value.clone()
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from ``state()``."""
        for name, optimizer in self.by_name.items():
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                prefix = f"{name}.{index}."
                state = {k[len(prefix) :]: v.clone() for k, v in tensors.items() if k.startswith(prefix)}
                if state:
                    optimizer.state[parameter] = state
