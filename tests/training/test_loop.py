"""The loop: it learns, it stops before damage, and a killed run goes on to the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_run, tiny_subject

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.gaussians.densification import DensificationConfig
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.subject.store import Subject
from ua3dtalk.training import loop
from ua3dtalk.training.config import TrainConfig
from ua3dtalk.training.run import TrainingRun


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return tiny_subject(tmp_path_factory.mktemp("tiny") / "subject")


def _weights(run: TrainingRun) -> dict[str, torch.Tensor]:
    weights = {f"{n}.{k}": v.clone() for n, layer in run.layers.items() for k, v in layer.state_dict().items()}
    return weights | {"viewmats": torch.from_numpy(run.viewmats.copy())}


class _Killed(Exception):
    pass


def growing(config: TrainConfig) -> TrainConfig:
    """The face's Gaussians are split and pruned every third step."""
    stages = tuple(replace(stage, densify=stage.name == "face") for stage in config.stages)
    rule = DensificationConfig(start_step=1, every=3, grow_gradient=1e-6, max_count=900)
    return replace(config, stages=stages, densification=rule)


@pytest.mark.parametrize(
    ("step", "thinning", "grows"), [(9, 1.0, False), (27, 0.4, False), (19, 1.0, True), (16, 0.4, True)]
)
def test_killed_and_resumed_is_bit_identical(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, thinning: float, grows: bool
) -> None:
    monkeypatch.setattr("ua3dtalk.training.thinning.FEWEST", 10)
    config = replace(tiny_config(), thinning=thinning)
    config = growing(config) if grows else config
    whole = tiny_run(subject, config)
    loop.train(whole, tmp_path / "whole", "sha")
    fresh = len(tiny_run(subject, config).layers["face"].gaussians)
    assert (len(whole.layers["face"].gaussians) != fresh) == grows
    real, count = loop.training_step, 0

    def dies(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count == step:
            raise _Killed
        return real(*arguments)  # type: ignore[arg-type]

    killed = tiny_run(subject, config)
    monkeypatch.setattr(loop, "training_step", dies)
    with pytest.raises(_Killed):
        loop.train(killed, tmp_path / "killed", "sha")
    monkeypatch.setattr(loop, "training_step", real)
    resumed = tiny_run(subject, config)
    loop.train(resumed, tmp_path / "killed", "sha", resume=True)
    want, got = _weights(whole), _weights(resumed)
    assert want.keys() == got.keys()
    different = [name for name in want if not torch.equal(want[name], got[name])]
    assert different == []


def test_the_number_of_threads_changes_no_bit(subject: Subject, tmp_path: Path) -> None:
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        run = tiny_run(subject, tiny_config())
        run.rasterizer = NumbaRasterizer(threads)
        loop.train(run, tmp_path / str(threads), "sha")
        assert torch.get_num_threads() == threads
        found.append(_weights(run))
    torch.set_num_threads(before)
    assert [name for name in found[0] if not torch.equal(found[0][name], found[1][name])] == []


def test_training_lowers_the_loss(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config()
    stages = (replace(config.stages[1], steps=120, static_steps=40, refine_poses_at=()),)
    run = tiny_run(subject, replace(config, stages=stages))
    losses: list[float] = []
    real = loop.training_step

    def recording(*arguments: object) -> object:
        result = real(*arguments)  # type: ignore[arg-type]
        losses.append(result.terms["photometric"])
        return result

    monkeypatch.setattr(loop, "training_step", recording)
    loop.train(run, tmp_path, "sha")
    assert np.mean(losses[-20:]) < 0.75 * np.mean(losses[:10])  # measured 0.61 from the unprojected start


def test_a_gradient_that_is_not_finite_changes_nothing(subject: Subject, tmp_path: Path) -> None:
    config = tiny_config()
    run = tiny_run(subject, replace(config, stages=(replace(config.stages[0], static_steps=0),)))
    with torch.no_grad():
        run.layers["mouth"].motion.heads.shared.bias[0] = float("nan")
    before = _weights(run)
    with pytest.raises(FloatingPointError, match="not finite"):
        loop.train(run, tmp_path, "sha", progress=Silent())
    after = _weights(run)
    assert all(torch.equal(before[k].nan_to_num(7), after[k].nan_to_num(7)) for k in before)


def test_state_of_another_run_is_refused(subject: Subject, tmp_path: Path) -> None:
    loop.train(tiny_run(subject, tiny_config()), tmp_path, "sha")
    with pytest.raises(UserError, match="another subject"):
        loop.train(tiny_run(subject, tiny_config()), tmp_path, "other", resume=True)
    changed = replace(tiny_config(), seed=1)
    with pytest.raises(UserError, match="other settings \\(seed\\)"):
        loop.train(tiny_run(subject, changed), tmp_path, "sha", resume=True)
