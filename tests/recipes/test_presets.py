"""Presets: complete, in the paper's proportions, and never stronger than the user's own flags."""

from __future__ import annotations

import pytest

from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.recipes.presets import preset
from ua3dtalk.training.config import TrainConfig


@pytest.mark.parametrize("name", ["quick", "standard", "paper"])
def test_presets_survive_json(name: str) -> None:
    config = preset(name)
    assert from_plain(TrainConfig, to_plain(config)) == config
    assert [stage.name for stage in config.stages] == ["mouth", "face", "fuse"]


def test_paper_is_the_papers() -> None:
    config = preset("paper")
    assert [stage.steps for stage in config.stages] == [50_000, 50_000, 10_000]
    assert config.face.members == 10 and config.face.latent == 48 and config.face.covariance == "full"
    assert not config.face.mesh_motion
    assert config.mouth.streams == ("audio", "content", "style")


def test_max_steps_shortens_every_stage() -> None:
    config = preset("quick", max_steps=100)
    assert sum(stage.steps for stage in config.stages) <= 100
    face = config.stages[1]
    assert 0 < face.static_steps < face.steps and face.refine_poses_at == (face.static_steps,)
    with pytest.raises(UserError, match="--max-steps 2 is too few"):
        preset("quick", max_steps=2)


def test_flags_win_over_the_preset() -> None:
    config = preset("quick", seed=3, overrides={"face.covariance": "full", "stages.2.steps": 7})
    assert config.seed == 3 and config.face.covariance == "full" and config.stages[2].steps == 7


@pytest.mark.parametrize("name", ["face.colour", "stages.9.steps", "nothing", "face.members.more"])
def test_a_setting_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UserError, match=f"--set {name}: there is no"):
        preset("quick", overrides={name: 1})


def test_a_value_that_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match="members"):
        preset("quick", overrides={"face.members": 0})
    with pytest.raises(UserError, match="thinning"):
        preset("quick", overrides={"thinning": 0.0})


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(UserError, match="quick, standard, paper"):
        preset("fast")
