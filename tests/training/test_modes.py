"""Patterns of a layer's motion: found, kept, and as good as the networks at every Gaussian."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_run, tiny_subject

from ua3dtalk.avatar.avatar import Avatar, Companions
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.motion_modes import FUSED, MotionModes, motion_parts, motion_row
from ua3dtalk.avatar.pose_loop import PoseLoop
from ua3dtalk.avatar.storage import load_modes, save_modes
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.priors.pipeline import Priors
from ua3dtalk.training.config import ModesConfig
from ua3dtalk.training.modes import find_modes, mixed, principal
from ua3dtalk.training.run import TrainingRun

CONFIG = ModesConfig(queries=60, most=24, anchors=64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    run = tiny_run(tiny_subject(tmp_path_factory.mktemp("modes") / "subject"), tiny_config())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # heads start at zero: the networks must move something
        for layer in run.layers.values():
            heads = layer.motion.heads
            heads.output.copy_(0.3 * torch.randn(heads.output.shape, generator=generator))
            layer.eval()
    return run


@pytest.fixture(scope="module")
def modes(run: TrainingRun) -> MotionModes:
    tracks = (run.tracked, run.predicted)
    return find_modes(run.layers["face"], tracks, np.arange(44), CONFIG, np.random.default_rng(0), Silent())


@torch.no_grad()
def unexplained(run: TrainingRun, modes: MotionModes, asked: list[Conditions]) -> float:
    """Share of the learnt motion's variance that the patterns miss."""
    layer = run.layers["face"]
    means, basis = layer.gaussians.means, layer.mesh_basis
    static, wrong, all_of_it = modes.static(layer.motion, means, basis), 0.0, 0.0
    for one in asked:
        wanted = layer.motion(means, basis, one, mode="ensemble")
        given = modes.move(layer.motion, one, static)
        mesh = wanted.d_means - wanted.learnt()[0]
        assert torch.allclose(given.d_means - given.learnt()[0], mesh, atol=1e-7), "the mesh's motion is exact"
        wrong += float((motion_row(given) - motion_row(wanted)).square().sum())
        all_of_it += float((motion_row(wanted) - modes.mean).square().sum())
    return wrong / all_of_it


def test_few_gaussians_tell_how_all_move(run: TrainingRun, modes: MotionModes) -> None:
    assert len(modes.anchors) == 64 < len(run.layers["face"].gaussians) / 2 and len(modes.modes) <= 24
    later = [track.frame(i) for i in range(45, 60, 3) for track in (run.tracked, run.predicted)]
    assert unexplained(run, modes, later) < 0.003  # measured .0006
    generator = np.random.default_rng(1)
    strange = [mixed(run.tracked, np.arange(45, 60), generator) for _ in range(10)]
    assert unexplained(run, modes, strange) < 0.003  # measured .0007
    gone = [run.tracked.frame(i).without("audio") for i in range(45, 60, 3)]
    assert unexplained(run, modes, gone) < 0.003  # measured .0007, and never asked for


def test_patterns_are_orthogonal_and_largest_first() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.linalg.qr(torch.randn(200, 3, generator=generator)).Q.t()
    strengths = torch.randn(30, 3, generator=generator) * torch.tensor([5.0, 2.0, 1.0])
    patterns, share = principal((strengths - strengths.mean(0)) @ truth, 8)
    assert patterns.shape == (3, 200) and share == pytest.approx(1, abs=1e-6), "rounding is no pattern"
    assert torch.allclose(patterns @ patterns.t() / 200, torch.eye(3), atol=1e-4)
    assert abs(float(patterns[0] @ truth[0])) > 0.9 * 200**0.5
    nothing, share = principal(torch.zeros(5, 40), 8)
    assert nothing.shape == (0, 40) and share == 1.0


def test_a_layer_that_never_moves_has_no_patterns(tmp_path: Path) -> None:
    still = tiny_run(tiny_subject(tmp_path / "subject"), tiny_config())
    layer = still.layers["face"].eval()
    found = find_modes(layer, (still.tracked,), np.arange(44), CONFIG, np.random.default_rng(0), Silent())
    assert len(found.modes) == 0
    save_modes(tmp_path, "face", found)
    again = load_modes(tmp_path, still.layers)["face"]
    with torch.no_grad():
        static = again.static(layer.motion, layer.gaussians.means, layer.mesh_basis)
        motion = again.move(layer.motion, still.tracked.frame(3), static)
    assert float(motion_row(motion).abs().max()) == 0


def test_rows_and_parts() -> None:
    row = torch.arange(40.0)
    positions, quats, scales = motion_parts(row, 4)
    assert positions.shape == (4, 3) and quats.shape == (4, 4) and scales.shape == (4, 3)
    assert torch.equal(torch.cat([p.flatten() for p in (positions, quats, scales)]), row)
    assert [tuple(part.shape) for part in motion_parts(torch.zeros(2, 12), 4)] == [(2, 4, 3)]


def test_they_are_kept_and_used(run: TrainingRun, modes: MotionModes, tmp_path: Path) -> None:
    save_modes(tmp_path, "face", modes)
    loaded = load_modes(tmp_path, run.layers)
    assert list(loaded) == ["face"]
    assert torch.equal(loaded["face"].anchors, modes.anchors)
    assert torch.allclose(loaded["face"].modes, modes.modes, rtol=1e-3, atol=1e-3 * float(modes.modes.abs().max()))
    loop, priors = PoseLoop.__new__(PoseLoop), Priors.__new__(Priors)
    shown = Companions(modes=loaded)
    avatar = Avatar(run.layers, run.track.K, (48, 48), loop, priors, run.rasterizer, run.device, shown)
    plain = Avatar(run.layers, run.track.K, (48, 48), loop, priors, run.rasterizer, run.device)
    one, behind = run.tracked.frame(3), np.zeros((48, 48, 3), np.float32)
    quick = avatar.render_over(one, run.viewmats[3], behind).image.astype(int)
    exact = plain.render_over(one, run.viewmats[3], behind).image.astype(int)
    mesh = plain.render_over(one, run.viewmats[3], behind, motion="mesh").image.astype(int)
    assert np.abs(quick - exact).mean() < 0.1 * np.abs(mesh - exact).mean()
    before = avatar.render_over(one, run.viewmats[3], behind, motions=avatar.move(one)).image
    assert np.array_equal(before, quick), "moved before, drawn later"


@torch.no_grad()
def test_anchors_tell_how_unsure_all_are(run: TrainingRun, modes: MotionModes) -> None:
    layer = run.layers["face"]
    means, basis = layer.gaussians.means, layer.mesh_basis
    static = modes.static(layer.motion, means, basis)
    for i in (46, 52, 58):
        one = run.tracked.frame(i)
        wanted = layer.motion(means, basis, one, mode="ensemble", want_maps=True).maps
        given = modes.move(layer.motion, one, static, want_maps=True).maps
        assert wanted is not None and given is not None
        for name in FUSED:
            ratio = (getattr(given, name) / getattr(wanted, name)).log().abs()
            assert float(ratio.median()) < 1e-3 and float(ratio.max()) < 1e-2, name  # measured 2e-4, 2e-3
        assert torch.equal(given.gates, wanted.gates)
        for stream, values in wanted.stream_means().items():
            assert given.stream_means()[stream]["trust"] == pytest.approx(values["trust"], abs=0.02)
    assert modes.move(layer.motion, run.tracked.frame(3), static).maps is None


def test_those_of_another_avatar_are_refused(run: TrainingRun, modes: MotionModes, tmp_path: Path) -> None:
    save_modes(tmp_path, "mouth", modes)
    with pytest.raises(UserError, match="Gaussians, the layer beside it has"):
        load_modes(tmp_path, run.layers)
