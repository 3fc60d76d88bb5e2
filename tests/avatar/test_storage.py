"""Avatar folders: what is written comes back, what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_run, tiny_subject

from ua3dtalk.avatar.pose_loop import calmest_stretch, load_loop, save_loop
from ua3dtalk.avatar.storage import LAYER_KIND, load_layer, read_index
from ua3dtalk.core.checkpoint import save_tensors
from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import write_json
from ua3dtalk.training.run import TrainingRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return tiny_run(tiny_subject(tmp_path_factory.mktemp("storage") / "subject"), tiny_config())


def test_layer_comes_back_the_same(run: TrainingRun, tmp_path: Path) -> None:
    layer = run.layers["face"]
    path = tmp_path / "face.safetensors"
    save_tensors(path, layer.state_dict(), kind=LAYER_KIND, header={"config": to_plain(layer.motion.config)})
    loaded = load_layer(path)
    assert loaded.motion.config == layer.motion.config
    for name, value in layer.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_layer_of_another_kind_is_refused(run: TrainingRun, tmp_path: Path) -> None:
    path = tmp_path / "face.safetensors"
    save_tensors(path, run.layers["face"].state_dict(), kind="training.state", header={})
    with pytest.raises(UserError, match=r"face\.safetensors holds 'training.state'"):
        load_layer(path)


def test_untrained_motion_is_the_identity_but_for_the_mesh(run: TrainingRun) -> None:
    layer = run.layers["face"]
    conditions = run.tracked.frame(3)
    moved = layer.motion(layer.gaussians.means, layer.mesh_basis, conditions, "ensemble")
    mesh = layer.motion.mesh_motion(layer.mesh_basis, conditions)
    assert torch.equal(moved.d_means, mesh.d_means)
    assert moved.d_quats is not None and not moved.d_quats.any()
    assert moved.d_log_scales is not None and not moved.d_log_scales.any()


def test_loop_stands_alone(run: TrainingRun, tmp_path: Path) -> None:
    subject = run.targets.subject
    frames = calmest_stretch(run.viewmats, np.array(run.split.train))
    assert (np.diff(frames) == 1).all()
    save_loop(tmp_path / "loop", subject, run.viewmats, run.track.upper, frames)
    loop = load_loop(tmp_path / "loop")
    assert len(loop) == len(frames)
    assert np.array_equal(loop.viewmats, run.viewmats[frames])
    assert np.array_equal(loop.torso(2), subject.torso(int(frames[2])))
    assert loop.behind(0).shape == (subject.height, subject.width, 3)


def test_folders_that_are_no_avatar_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        read_index(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"has no avatar\.json"):
        read_index(tmp_path)
    write_json(tmp_path / "avatar.json", {"schema": 99})
    with pytest.raises(UserError, match="has schema 99, this version reads 1"):
        read_index(tmp_path)
