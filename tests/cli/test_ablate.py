"""``ua3dtalk ablate`` on bad input: one sentence, exit code 2, nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ua3dtalk.cli.main import main
from ua3dtalk.recipes.ablation import runs as ablation_runs


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes the first look."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subject").mkdir()
    (tmp_path / "subject" / "subject.json").write_text("{}")
    (tmp_path / "file").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gone", "--out", "o"], "the subject gone is not a folder"),
        (["subject", "--out", "file"], "--out file is a file"),
        (["subject", "--out", "o", "--seeds", "0"], "--seeds 0 leaves nothing"),
        (["subject", "--out", "o", "--workers", "-1"], "--workers -1 leaves nothing"),
        (["subject", "--out", "o", "--max-steps", "0"], "--max-steps 0 leaves nothing"),
        (["subject", "--out", "o", "--max-steps", "2"], "--max-steps 2 is too few"),
        (["subject", "--out", "o", "--rows", "baseline,+Q"], "--rows: there is no row '+Q'"),
        (["subject", "--out", "o", "--rows", "ours,ours"], "--rows: ours is given twice"),
        (["subject", "--out", "o", "--rows", ","], "--rows is empty"),
        (["subject", "--out", "o", "--device", "gpu"], "'gpu' is not known"),
        (["subject", "--out", "o"], "has schema None"),
    ],
)
def test_wrong_values_are_named(
    arguments: list[str], sentence: str, subject: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(subject.rglob("*"))
    assert main(["ablate", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(subject.rglob("*")) == before


def test_the_paper_preset_is_not_offered(subject: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main(["ablate", "subject", "--out", "o", "--preset", "paper"])
    assert left.value.code == 2


@pytest.mark.parametrize("failed", [{}, {"+P/seed1": "Loss is not finite."}])
def test_the_plan_is_the_command_line_and_failures_are_said(
    subject: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failed: dict[str, str]
) -> None:
    seen: list[Any] = []

    def run(*arguments: object, **named: object) -> dict[str, Any]:
        seen.extend([arguments, named])
        settings = {"subject": "a.mp4", "preset": "quick", "overrides": {}, "steps": 9, "seeds": [0], "frames": None}
        entry = {"values": [], "mean": None, "std": None, "delta_to_baseline": None, "delta_to_ours": None}
        protocols = {name: {"x": entry} for name in ("driven", "audio-only", "real")}
        row = {"says": "all on.", "seeds": [0], "training_s": None, "protocols": protocols}
        column = {"title": "x", "unit": "", "ideal": "higher"}
        paper = {"row": "+P+E+U", "source": "s.", "differences": []}
        return {"settings": settings, "columns": {"x": column}, "rows": {"ours": row}, "paper": paper, "failed": failed}

    monkeypatch.setattr(ablation_runs, "run_ablations", run)
    arguments = [
        "ablate",
        "subject",
        "--out",
        "o",
        "--rows",
        "+P, ours",
        "--seeds",
        "3",
        "--workers",
        "4",
        "--set",
        "init.face_count=9",
    ]
    assert main(arguments) == (1 if failed else 0)
    (where, out, plan), named = seen
    assert (str(where), str(out)) == ("subject", "o")
    assert plan.overrides == {"init.face_count": 9}
    assert plan.rows == ("+P", "ours") and plan.seeds == 3 and named["workers"] == 4 and plan.device in ("cpu", "cuda")
    text = capsys.readouterr().out
    assert "all on." in text and "ablations.md" in text
    assert ("+P/seed1 failed: Loss is not finite." in text) == bool(failed)
    assert main([*arguments, "--json"]) == (1 if failed else 0)
    assert json.loads(capsys.readouterr().out)["failed"] == failed
