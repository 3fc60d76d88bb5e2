"""The rows of the ablation: the paper's modules one after another, ours, and variants of ours.

The paper adds its modules P (content and style priors), E (emotion) and U (uncertainty) to a baseline in the manner of
TalkingGaussian. The same ladder here, with the same data, renderer, losses and steps in every row. The paper does not
say what stands where a module is missing; every row says what we put there.

What stays on in all rows because it is no module of theirs: our initial points, pose refinement at the same step, and
what the priors know of the *upper* face (the emotion's share of lids and brows in the audio-only protocol).
There is no row *ours without P*: the expression that moves our mesh is P's own prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ua3dtalk.avatar.branch import BranchConfig
from ua3dtalk.avatar.fusion import Covariance
from ua3dtalk.core.errors import UserError
from ua3dtalk.training.config import StageConfig, TrainConfig

BASELINE, PAPER, OURS = "baseline", "+P+E+U", "ours"
STATIC_SHARE = 0.06
"""Share of a stage's steps without motion where no mesh moves: the paper's 3,000 of 50,000."""


@dataclass(frozen=True, kw_only=True)
class AblationRow:
    """One row of the table."""

    name: str
    """Name on the command line, of the folder and in the table."""
    says: str
    """What is on and what is off."""
    change: Callable[[TrainConfig], TrainConfig]
    """The row's configuration from the preset's."""


def ablation_rows() -> tuple[AblationRow, ...]:
    """All rows, in the order of the table."""
    return (
        AblationRow(
            name=BASELINE,
            says="P, E and U off: the audio stream with the upper-face signals, one network, no mesh motion "
            "(in the manner of TalkingGaussian).",
            change=lambda c: without_mesh(without_uncertainty(with_streams(c, "audio"))),
        ),
        AblationRow(
            name="+P",
            says="The baseline and the content and style streams; streams weigh the same, one network each.",
            change=lambda c: without_mesh(without_uncertainty(with_streams(c, "audio", "content", "style"))),
        ),
        AblationRow(
            name="+P+E",
            says="+P and the emotion stream.",
            change=lambda c: without_mesh(without_uncertainty(c)),
        ),
        AblationRow(
            name=PAPER,
            says="+P+E with ensembles fused by precision, and the likelihood that calibrates it: the paper's model "
            "(with diagonal covariances).",
            change=without_mesh,
        ),
        AblationRow(
            name=OURS,
            says="+P+E+U on a tracked mesh that the expression predicted from speech moves: the preset as it is.",
            change=lambda c: c,
        ),
        AblationRow(
            name="ours-uniform",
            says="Ours, but all streams weigh the same; the variances are still learnt by the likelihood and shown.",
            change=partial(with_covariance, covariance="uniform"),
        ),
        AblationRow(
            name="ours-member",
            says="Ours, but training never switches to the ensemble: one random member per stream in every step, no "
            "likelihood. Rendered by the ensemble, as always.",
            change=without_ensemble_phase,
        ),
        AblationRow(
            name="ours-full",
            says="Ours, fused by the members' full covariances: the paper's rule.",
            change=partial(with_covariance, covariance="full"),
        ),
        AblationRow(
            name="ours-M1",
            says="Ours with one member per stream: aleatoric uncertainty alone.",
            change=partial(with_members, members=1),
        ),
        AblationRow(name="ours-M4", says="Ours with four members.", change=partial(with_members, members=4)),
        AblationRow(
            name="ours-M10", says="Ours with ten members, the paper's M.", change=partial(with_members, members=10)
        ),
        AblationRow(
            name="ours-no-E",
            says="Ours without the emotion stream; the predicted expression still has the emotion's shift.",
            change=lambda c: with_streams(c, "audio", "content", "style"),
        ),
    )


def select_rows(names: Sequence[str] | None, base: TrainConfig) -> list[AblationRow]:
    """Rows by name, in the order of the table.

    Args:
        names: Which; None is all, except variants that are the preset itself (``ours-M4`` where M is 4).
        base: The preset.

    Raises:
        UserError: no names, a name that does not exist or is given twice, or a preset without mesh motion.
    """
    rows = {row.name: row for row in ablation_rows()}
    if not base.face.mesh_motion:
        raise UserError(
            f"--preset {base.preset} has no mesh motion: it is itself the row {PAPER}.", "Use quick or standard."
        )
    if names is None:
        return [row for row in rows.values() if row.name == OURS or row.change(base) != base]
    for name in names:
        if name not in rows:
            raise UserError(f"--rows: there is no row {name!r}.", f"Use some of {','.join(rows)}.")
        if list(names).count(name) > 1:
            raise UserError(f"--rows: {name} is given twice.", "Give it once.")
    if not names:
        raise UserError("--rows is empty.", f"Use some of {','.join(rows)}.")
    return [row for row in rows.values() if row.name in names]


def with_streams(config: TrainConfig, *names: str) -> TrainConfig:
    """Only these of the streams that each branch has."""
    return _both(config, lambda branch: replace(branch, streams=tuple(s for s in branch.streams if s in names)))


def with_covariance(config: TrainConfig, covariance: Covariance) -> TrainConfig:
    """Another fusion rule in both branches."""
    return _both(config, lambda branch: replace(branch, covariance=covariance))


def with_members(config: TrainConfig, members: int) -> TrainConfig:
    """Another M in both branches."""
    return _both(config, lambda branch: replace(branch, members=members))


def without_uncertainty(config: TrainConfig) -> TrainConfig:
    """Module U off: one network per stream, equal weights, and nothing that would teach a variance.

    The uncertainty that such an avatar shows is what its variances happened to start with.
    """
    plain = with_members(with_covariance(config, "uniform"), 1)
    return replace(plain, losses=replace(plain.losses, likelihood=0.0))


def without_ensemble_phase(config: TrainConfig) -> TrainConfig:
    """One drawn member per stream to the end; the likelihood, which belongs to the ensemble phase, is never used."""
    return _stages(config, lambda stage: replace(stage, ensemble_from=max(stage.ensemble_from, stage.steps)))


def without_mesh(config: TrainConfig) -> TrainConfig:
    """No mesh motion: the networks move everything, from the paper's share of the stage on.

    Predicted expression drives nothing then but the mesh, so no step is driven by it. The static warm-up is as short
    as the paper's, because without a mesh it teaches a head that stands still; poses are refined at the same step as
    in the preset, with the motion that the networks know by then.
    """

    def schedule(stage: StageConfig) -> StageConfig:
        shortest = max(round(stage.steps * STATIC_SHARE), 1)
        return replace(stage, predicted_share=0.0, static_steps=min(stage.static_steps, shortest))

    return _stages(_both(config, lambda branch: replace(branch, mesh_motion=False)), schedule)


def _both(config: TrainConfig, change: Callable[[BranchConfig], BranchConfig]) -> TrainConfig:
    return replace(config, face=change(config.face), mouth=change(config.mouth))


def _stages(config: TrainConfig, change: Callable[[StageConfig], StageConfig]) -> TrainConfig:
    return replace(config, stages=tuple(change(stage) for stage in config.stages))
