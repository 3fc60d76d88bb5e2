"""``ua3dtalk ablate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_folder, output_folder
from ua3dtalk.cli.train import parse_overrides
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Ablate(Command):
    """Switch the method's parts on one after another, train and measure each, and write the table."""

    subject: Positional[Annotated[Path, arg(metavar="SUBJECT")]]
    """What `ua3dtalk prepare` made; it is only read."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the avatars, their reports, and ablations.md, .txt and .json."""
    rows: Annotated[str | None, arg(metavar="A,B,..")] = None
    """Rows by name, e.g. baseline,+P,+P+E,+P+E+U,ours; all of them if not given."""
    seeds: int = 2
    """Trainings per row."""
    preset: Literal["quick", "standard"] = "quick"
    """What the rows are changes of."""
    max_steps: Annotated[int | None, arg(metavar="STEPS")] = None
    """Shorter trainings: this many steps in all for each, every stage shortened in proportion."""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FIELD=VALUE")] = ()
    """A setting of the preset to change for all rows, e.g. init.face_count=3000; may be repeated."""
    workers: int = 2
    """How many trainings at once, each with one thread; 1 uses all threads for one."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""
    evaluate_again: bool = False
    """Measure what was measured before once more, for metrics that are new."""

    when_stopped = "Go on with the same command: what is finished is not done again."

    def run(self, progress: Progress) -> Report:
        subject = existing_folder(self.subject, "the subject", "subject.json", "prepare VIDEO --out SUBJECT")
        out = output_folder(self.out, "--out")
        for name, value in (("--seeds", self.seeds), ("--workers", self.workers), ("--max-steps", self.max_steps)):
            if value is not None and value < 1:
                raise UserError(f"{name} {value} leaves nothing.", "Use 1 or more.")
        rows = None if self.rows is None else tuple(name.strip() for name in self.rows.split(",") if name.strip())
        overrides = parse_overrides(self.set)
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.ablation.runs import AblationPlan, run_ablations
        from ua3dtalk.recipes.ablation.text import plain_text

        plan = AblationPlan(
            rows=rows,
            seeds=self.seeds,
            preset=self.preset,
            max_steps=self.max_steps,
            overrides=overrides,
            device=str(device),
            evaluate_again=self.evaluate_again,
        )
        table = run_ablations(subject, out, plan, workers=self.workers, progress=progress)
        failed = table["failed"]
        trouble = "".join(f"\n{name} failed: {why}" for name, why in failed.items())
        text = f"{plain_text(table)}\nThe table is {out / 'ablations.md'}.{trouble}"
        return Report(text, table, ready=not failed)
