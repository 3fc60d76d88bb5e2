"""A training whose avatar is finished is not begun again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ua3dtalk.avatar.storage import INDEX, SCHEMA_VERSION
from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import write_json
from ua3dtalk.recipes.presets import preset
from ua3dtalk.recipes.train import finished_already
from ua3dtalk.training.config import TrainConfig
from ua3dtalk.training.loop import STATE_FILE

CONFIG = preset("quick")


@pytest.fixture
def avatar(tmp_path: Path) -> Path:
    write_json(tmp_path / INDEX, {"schema": SCHEMA_VERSION, "config": to_plain(CONFIG), "subject_sha256": "a"})
    return tmp_path


def test_only_a_finished_avatar_of_the_same_run_counts(avatar: Path, tmp_path: Path) -> None:
    assert finished_already(avatar, CONFIG, "a", resume=True)
    assert not finished_already(tmp_path / "none", CONFIG, "a", resume=True)
    (avatar / STATE_FILE).touch()  # stopped between the last file and the end
    assert not finished_already(avatar, CONFIG, "a", resume=True)


@pytest.mark.parametrize(
    ("config", "subject", "resume"),
    [(CONFIG, "a", False), (CONFIG, "b", True), (preset("quick", max_steps=500), "a", True)],
)
def test_another_avatar_is_not_trained_over(avatar: Path, config: TrainConfig, subject: str, resume: bool) -> None:
    with pytest.raises(UserError, match=r"already holds an avatar.*Give another --out\.$"):
        finished_already(avatar, config, subject, resume=resume)
