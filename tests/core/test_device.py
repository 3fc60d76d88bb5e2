"""The device is the user's choice, and what is not there is said."""

from __future__ import annotations

import pytest
import torch

from ua3dtalk.core.device import pick_device
from ua3dtalk.core.errors import UserError


def test_cpu_is_always_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("available", "kind"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch, available: bool, kind: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert pick_device().type == kind


def test_absent_cuda_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no usable CUDA device. Use --device cpu"):
        pick_device("cuda")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="'gpu' is not known. Use auto, cpu or cuda"):
        pick_device("gpu")
