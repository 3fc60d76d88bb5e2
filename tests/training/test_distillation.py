"""The student: moves as its teacher does, knows no spread, and comes back from disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_run, tiny_subject

from ua3dtalk.avatar.avatar import Avatar, Companions
from ua3dtalk.avatar.pose_loop import PoseLoop
from ua3dtalk.avatar.storage import load_students, save_student
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.priors.pipeline import Priors
from ua3dtalk.training.config import DistillationConfig
from ua3dtalk.training.distillation import LEARNT, distil, student_of
from ua3dtalk.training.run import TrainingRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    run = tiny_run(tiny_subject(tmp_path_factory.mktemp("student") / "subject"), tiny_config())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # heads start at zero: a teacher must move something
        heads = run.layers["face"].motion.heads
        heads.output.copy_(0.3 * torch.randn(heads.output.shape, generator=generator))
    return run


def far_apart(run: TrainingRun, student: torch.nn.Module) -> float:
    """Mean squared difference of the learnt motion, in units of its variance, on frames of the end."""
    layer, total = run.layers["face"], []
    layer.motion.eval()
    for i in range(45, 60):
        one = run.tracked.frame(i)
        with torch.no_grad():
            wanted = layer.motion(layer.gaussians.means, layer.mesh_basis, one, mode="ensemble").residual
            given = student(layer.gaussians.means, layer.mesh_basis, one, mode="ensemble").residual
        total.append(float((wanted - given).square().mean() / wanted.var()))
    return float(np.mean(total))


def test_a_student_learns_what_its_teacher_does(run: TrainingRun) -> None:
    layer = run.layers["face"].eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    config = DistillationConfig(steps=150, points=200)
    student = distil(layer, [run.tracked, run.predicted], np.arange(44), config, np.random.default_rng(0), Silent())
    first, last = far_apart(run, student_of(layer.motion)), far_apart(run, student)
    assert last < 0.5 * first and last < 0.03, (first, last)  # measured .035 and .013
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items()), "the teacher stays"
    assert student.config.members == 1 and not any(p.requires_grad for p in student.parameters())


def test_a_student_is_kept_and_used_where_no_doubt_is_asked_for(run: TrainingRun, tmp_path: Path) -> None:
    student = student_of(run.layers["face"].motion)
    with torch.no_grad():
        student.heads.output.mul_(0)
    save_student(tmp_path, "face", student, LEARNT)
    students = load_students(tmp_path, run.layers)
    assert list(students) == ["face"]
    for name, value in student.state_dict().items():
        assert torch.equal(value, students["face"].state_dict()[name]), name
    loop, priors = PoseLoop.__new__(PoseLoop), Priors.__new__(Priors)
    avatar = Avatar(run.layers, run.track.K, (48, 48), loop, priors, run.rasterizer, run.device, Companions(students))
    one, behind = run.tracked.frame(3), np.zeros((48, 48, 3), np.float32)
    quick, exact, mesh = (
        avatar.render_over(one, run.viewmats[3], behind, want_maps=maps, motion=motion).image.astype(int)
        for maps, motion in ((False, "full"), (True, "full"), (False, "mesh"))
    )
    assert (quick != exact).any(), "with uncertainty the whole ensemble moves"
    assert np.abs(quick - mesh).mean() < np.abs(exact - mesh).mean(), "a student without heads leaves the mesh's motion"


def test_a_student_of_another_avatar_is_refused(run: TrainingRun, tmp_path: Path) -> None:
    config = run.config
    other = replace(config, face=replace(config.face, latent=4))
    subject = tiny_subject(tmp_path / "subject")
    save_student(tmp_path, "face", student_of(tiny_run(subject, other).layers["face"].motion), LEARNT)
    with pytest.raises(UserError, match="another configuration"):
        load_students(tmp_path, run.layers)
