"""Choice of the back-end."""

from __future__ import annotations

import logging

import pytest
import torch

from ua3dtalk.render.select import make_rasterizer


@pytest.mark.parametrize(("device", "name"), [("cpu", "numba"), ("meta", "gsplat")])
def test_by_device_and_logged(device: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Any device that is not the CPU stands for an accelerator."""
    with caplog.at_level(logging.INFO, "ua3dtalk"):
        assert make_rasterizer(torch.device(device)).name == name
    assert name in caplog.text
