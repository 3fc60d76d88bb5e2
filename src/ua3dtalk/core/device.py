"""The one place that turns ``auto | cpu | cuda`` into a device."""

from __future__ import annotations

import torch

from ua3dtalk.core.errors import UserError


def pick_device(name: str = "auto") -> torch.device:
    """The device to work on.

    Args:
        name: ``auto`` (CUDA when there is one), ``cpu`` or ``cuda``.

    Raises:
        UserError: another name, or ``cuda`` where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {name!r} is not known.", "Use auto, cpu or cuda.")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("--device cuda: this machine has no usable CUDA device.", "Use --device cpu.")
    return torch.device("cuda" if name != "cpu" and available else "cpu")
