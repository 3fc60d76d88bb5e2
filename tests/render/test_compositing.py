"""Layers over each other."""

from __future__ import annotations

import torch

from ua3dtalk.render.compositing import over


def test_over_a_picture_and_over_a_colour() -> None:
    front = torch.tensor([[[0.25, 0.0, 0.0]]])
    alpha = torch.tensor([[0.25]])
    back = torch.tensor([0.0, 1.0, 0.5])
    expected = torch.tensor([[[0.25, 0.75, 0.375]]])
    assert torch.equal(over(front, alpha, back), expected)
    assert torch.equal(over(front, alpha, back.expand(1, 1, 3)), expected)


def test_gradient_reaches_all_layers() -> None:
    tensors = [torch.rand(4, 5, 3, requires_grad=True), torch.rand(4, 5, requires_grad=True)]
    tensors.append(torch.rand(4, 5, 3, requires_grad=True))
    over(*tensors).sum().backward()
    assert torch.allclose(tensors[1].grad, -tensors[2].detach().sum(-1))
