"""Tests of the branch: contract, identity, cache, presence, drawn members."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.avatar.branch import Branch, BranchConfig
from ua3dtalk.avatar.conditions import Conditions, ConditionTrack
from ua3dtalk.avatar.heads import HeadConfig
from ua3dtalk.avatar.planes import PlaneConfig
from ua3dtalk.core.config import from_plain, to_plain

N = 300


def small_config(**changes: object) -> BranchConfig:
    values = dict(
        planes=PlaneConfig(base=8, multiples=(1, 2), channels=4),
        emotion_planes=PlaneConfig(base=8, multiples=(1, 2), channels=6),
        members=3,
        latent=8,
        hidden=16,
        heads=HeadConfig(hidden=16),
    )
    return BranchConfig(**(values | changes))  # type: ignore[arg-type]


def make(seed: int = 0, **changes: object) -> tuple[Branch, torch.Tensor, torch.Tensor, Conditions]:
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    shapes = {"audio": (42, 16), "upper": (6,), "lower": (13,), "content": (64,), "style": (64,), "emotion": (128,)}
    track = ConditionTrack.from_arrays(**{k: rng.normal(size=(9, *v)).astype(np.float32) for k, v in shapes.items()})
    branch = Branch(small_config(**changes), generator)
    means = (torch.rand(N, 3, generator=generator) - 0.5) * 0.2
    basis = torch.randn(N, 19, 3, generator=generator) * 1e-3
    return branch, means, basis, track.frame(4)


def wake(branch: Branch) -> None:
    """Give the zero-initialised output layers some weight, as training would."""
    generator = torch.Generator().manual_seed(7)
    torch.nn.init.normal_(branch.heads.output, 0, 0.3, generator=generator)


@pytest.mark.parametrize("mode", ["member", "ensemble"])
def test_untrained_motion_is_identity(mode: str) -> None:
    branch, means, basis, frame = make(mesh_motion=False)
    motion = branch(means, None, frame, mode, torch.Generator())
    assert motion.d_quats is not None and motion.d_log_scales is not None
    for change in (motion.d_means, motion.d_quats, motion.d_log_scales):
        assert torch.count_nonzero(change) == 0
    with_mesh = make()[0](means, basis, frame, mode, torch.Generator())
    assert torch.count_nonzero(with_mesh.residual) == 0
    torch.testing.assert_close(with_mesh.d_means, make()[0].mesh_motion(basis, frame).d_means, rtol=0, atol=0)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("mode", ["member", "ensemble"])
def test_static_cache_changes_nothing(mode: str, covariance: str) -> None:
    branch, means, basis, frame = make(covariance=covariance)
    wake(branch)
    branch.eval()
    with torch.no_grad():
        plain = branch(means, basis, frame, mode, torch.Generator().manual_seed(3))
        static = branch.prepare_static(means)
        cached = branch(means, basis, frame, mode, torch.Generator().manual_seed(3), static=static)
    assert plain.residual.abs().max() > 1e-4
    torch.testing.assert_close(plain.d_means, cached.d_means, rtol=1e-5, atol=1e-8)  # measured 2e-9 m
    torch.testing.assert_close(plain.d_quats, cached.d_quats, rtol=1e-5, atol=1e-6)


def test_every_parameter_gets_a_gradient_in_ensemble_mode() -> None:
    branch, means, basis, frame = make(stream_dropout=0.0)
    wake(branch)
    motion = branch(means.requires_grad_(), basis, frame, "ensemble", torch.Generator())
    (motion.d_means.sum() * 100 + motion.d_quats.square().sum() + motion.d_log_scales.square().sum()).backward()
    silent = [k for k, p in branch.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert silent == []
    assert means.grad is None, "positions are detached by contract"


def test_member_mode_draws_from_the_generator_and_trains_only_the_drawn() -> None:
    branch, means, basis, frame = make(stream_dropout=0.0)
    wake(branch)
    first = branch(means, basis, frame, "member", torch.Generator().manual_seed(1))
    again = branch(means, basis, frame, "member", torch.Generator().manual_seed(1))
    others = [branch(means, basis, frame, "member", torch.Generator().manual_seed(s)).d_means for s in range(2, 8)]
    assert torch.equal(first.d_means, again.d_means)
    assert any(not torch.equal(first.d_means, other) for other in others)
    first.d_quats.square().sum().backward()
    for ensemble in branch.ensembles.values():
        assert int((ensemble.output.grad.abs().sum((1, 2)) > 0).sum()) == 1
    with pytest.raises(ValueError, match="generator"):
        branch(means, basis, frame, "member", None)


def test_missing_stream_has_no_influence() -> None:
    branch, means, basis, frame = make()
    wake(branch)
    branch.eval()
    without = frame.without("emotion")
    changed = Conditions(**{k: getattr(without, k) for k in vars(without)} | {"emotion": without.emotion + 5.0})
    a, b = branch(means, basis, without, "ensemble"), branch(means, basis, changed, "ensemble")
    c = branch(means, basis, frame, "ensemble", want_maps=True)
    assert torch.equal(a.d_means, b.d_means)
    assert not torch.equal(a.d_means, c.d_means)
    maps = branch(means, basis, without, "ensemble", want_maps=True).maps
    assert maps.trust[:, 3].abs().max() == 0
    with pytest.raises(ValueError, match="at least one"):
        branch(means, basis, frame.without("audio", "content", "style", "emotion"), "ensemble")


def test_stream_dropout_hides_streams_only_in_training() -> None:
    branch, _, _, frame = make(stream_dropout=1.0)
    branch.train()
    assert branch._presence(frame, torch.Generator().manual_seed(0)) == [True] * 4, "never all"
    branch = make(stream_dropout=0.5)[0]
    generator = torch.Generator().manual_seed(0)
    kept = np.array([branch._presence(frame, generator) for _ in range(400)])
    assert kept.any(1).all()
    np.testing.assert_allclose(kept.mean(0), 0.5, atol=0.12)  # all-dropped draws are replaced: 0.53 expected
    branch.eval()
    assert branch._presence(frame, generator) == [True] * 4


def test_mouth_is_the_same_class_with_fewer_streams() -> None:
    config = small_config().as_mouth()
    assert config.streams == ("audio", "content", "style")
    branch = Branch(config, torch.Generator().manual_seed(0))
    wake(branch)
    _, means, basis, frame = make()
    motion = branch(means, basis, frame, "ensemble", want_maps=True)
    assert motion.d_quats is None and motion.d_log_scales is None
    assert motion.maps.trust.shape == (N, 3) and motion.maps.gates.shape == (N, 1)


def test_config_round_trip_and_refusals() -> None:
    config = small_config(covariance="full")
    assert from_plain(BranchConfig, to_plain(config)) == config
    with pytest.raises(ValueError, match="streams"):
        small_config(streams=("content", "audio"))
    branch, means, _, frame = make()
    with pytest.raises(ValueError, match="mesh_basis"):
        branch(means, None, frame, "ensemble")
