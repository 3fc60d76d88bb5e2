"""Training with parts of the method switched off: it runs, it stores, and what is off stays off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_run, tiny_subject

from ua3dtalk.avatar.storage import LAYER_KIND, load_layer
from ua3dtalk.core.checkpoint import save_tensors
from ua3dtalk.core.config import to_plain
from ua3dtalk.core.progress import Silent
from ua3dtalk.recipes.ablation.rows import ablation_rows, without_mesh, without_uncertainty
from ua3dtalk.subject.store import Subject
from ua3dtalk.training import loop, step
from ua3dtalk.training.pose_refinement import refine_poses

ROWS = {row.name: row for row in ablation_rows()}


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return tiny_subject(tmp_path_factory.mktemp("ablated") / "subject")


@pytest.mark.parametrize("name", ["baseline", "+P", "+P+E", "+P+E+U", "ours-uniform", "ours-member"])
def test_every_row_trains_stores_and_moves(subject: Subject, tmp_path: Path, name: str) -> None:
    run = tiny_run(subject, ROWS[name].change(tiny_config()))
    loop.train(run, tmp_path, "sha")
    frame = run.predicted.frame(7)
    for layer_name, layer in run.layers.items():
        path = tmp_path / f"{layer_name}.safetensors"
        header = {"config": to_plain(layer.motion.config)}
        save_tensors(path, layer.state_dict(), kind=LAYER_KIND, header=header)
        loaded = load_layer(path).eval()
        with torch.no_grad():
            moved = [
                one.eval().motion(one.gaussians.means, one.mesh_basis, frame, "ensemble", want_maps=True)
                for one in (layer, loaded)
            ]
        assert moved[0].maps is not None and moved[0].maps.streams == layer.motion.config.streams
        assert torch.isfinite(moved[0].maps.fused_deviation).all()
        assert torch.equal(moved[0].d_means, moved[1].d_means)


def test_without_a_likelihood_nothing_is_spent_on_it(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> torch.Tensor:
        raise AssertionError("the likelihood was asked for")

    monkeypatch.setattr(step, "calibration_loss", refused)
    run = tiny_run(subject, without_uncertainty(tiny_config()))
    start = [e.output.detach().clone() for e in run.layers["face"].motion.ensembles.values()]
    loop.train(run, tmp_path, "sha")
    latent = run.config.face.latent
    for before, ensemble in zip(start, run.layers["face"].motion.ensembles.values(), strict=True):
        assert torch.equal(before[:, latent:], ensemble.output[:, latent:]), "variances are not taught"
        assert not torch.equal(before[:, :latent], ensemble.output[:, :latent])
    with pytest.raises(AssertionError, match="was asked for"):
        loop.train(tiny_run(subject, tiny_config()), tmp_path, "sha")


def test_poses_are_refined_with_the_networks_motion_where_no_mesh_moves(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """True poses stay where they are only if the model is moved as the picture was."""
    run = tiny_run(subject, without_mesh(tiny_config()))
    rng = np.random.default_rng(0)
    layer = run.layers["face"]
    colours = rng.uniform(-1, 1, (len(layer.gaussians), 3)).astype(np.float32)
    layer.gaussians.sh.data[:, 0] = torch.from_numpy(colours)
    layer.gaussians.opacity_logits.data.fill_(6.0)
    layer.gaussians.log_scales.data += 0.4
    torch.nn.init.normal_(layer.motion.heads.output, 0, 0.3, generator=torch.Generator().manual_seed(7))
    pictures = {}
    for i in range(len(run.viewmats)):
        with torch.no_grad():
            motion = layer.motion(layer.gaussians.means, layer.mesh_basis, run.tracked.frame(i), "ensemble")
            rgb = run.rasterizer(layer.splats(motion), run.targets.camera(i)).rgb.numpy()
        pictures[i] = (rgb.clip(0, 1) * 255).astype(np.uint8)
    monkeypatch.setattr(run.targets.subject, "frame", lambda i: pictures[i])
    monkeypatch.setattr("ua3dtalk.training.pose_refinement.SMALLEST_AREA_PX", 50)
    true = run.viewmats.copy()
    refine_poses(run, Silent())
    known = np.abs(run.viewmats - true)[:, :3, 3].mean()
    run.targets.viewmats = true
    layer.motion.heads.output.data.zero_()  # a model that stands still
    refine_poses(run, Silent())
    unknown = np.abs(run.viewmats - true)[:, :3, 3].mean()
    assert known < 0.2 * unknown, (known, unknown)


def test_a_row_is_another_run(subject: Subject, tmp_path: Path) -> None:
    """What is off leaves no weights behind."""
    plain = tiny_run(subject, ROWS["baseline"].change(tiny_config()))
    assert set(plain.layers["face"].motion.ensembles) == {"audio"}
    assert plain.layers["face"].motion.mesh is None and plain.layers["face"].motion.emotion_planes is None
    assert replace(plain.config, seed=1) != tiny_config()
