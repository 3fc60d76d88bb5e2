"""The ablation: rows are what they say, tables add up, cells are not done twice, and one goes all the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import write_json
from ua3dtalk.core.progress import Silent
from ua3dtalk.priors.phone_posteriors import phone_names
from ua3dtalk.priors.pipeline import PriorsConfig
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.priors.style import StyleConfig
from ua3dtalk.recipes.ablation import runs as ablation_runs
from ua3dtalk.recipes.ablation.cell import METRICS, Cell, read_cell, write_cell
from ua3dtalk.recipes.ablation.rows import ablation_rows, select_rows
from ua3dtalk.recipes.ablation.runs import AblationPlan, run_ablations
from ua3dtalk.recipes.ablation.table import ablation_table, table_rows
from ua3dtalk.recipes.ablation.text import plain_text
from ua3dtalk.recipes.presets import preset
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import STAGES, Subject
from ua3dtalk.training.config import TrainConfig

ROWS = {row.name: row for row in ablation_rows()}
BASE = preset("quick")


def config(name: str) -> TrainConfig:
    return ROWS[name].change(BASE)


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "face", "members", "covariance", "mesh"),
    [
        ("baseline", "audio", 1, "uniform", False),
        ("+P", "audio content style", 1, "uniform", False),
        ("+P+E", "audio content style emotion", 1, "uniform", False),
        ("+P+E+U", "audio content style emotion", 4, "diagonal", False),
        ("ours", "audio content style emotion", 4, "diagonal", True),
        ("ours-uniform", "audio content style emotion", 4, "uniform", True),
        ("ours-member", "audio content style emotion", 4, "diagonal", True),
        ("ours-full", "audio content style emotion", 4, "full", True),
        ("ours-M1", "audio content style emotion", 1, "diagonal", True),
        ("ours-M10", "audio content style emotion", 10, "diagonal", True),
        ("ours-no-E", "audio content style", 4, "diagonal", True),
    ],
)
def test_a_row_is_what_it_says(name: str, face: str, members: int, covariance: str, mesh: bool) -> None:
    changed = config(name)
    assert changed.face.streams == tuple(face.split())
    assert changed.mouth.streams == tuple(s for s in face.split() if s != "emotion")
    for branch in (changed.face, changed.mouth):
        assert (branch.members, branch.covariance, branch.mesh_motion) == (members, covariance, mesh)
    assert changed.face.upper_face and not changed.mouth.upper_face
    assert sum(stage.steps for stage in changed.stages) == sum(stage.steps for stage in BASE.stages)
    assert [stage.refine_poses_at for stage in changed.stages] == [stage.refine_poses_at for stage in BASE.stages]
    for stage in changed.stages:
        assert (stage.predicted_share > 0) == (mesh and stage.name == "fuse")
        assert all(step > stage.static_steps for step in stage.refine_poses_at) or mesh, "the networks move by then"
    assert (changed.losses.likelihood == 0) == (name in ("baseline", "+P", "+P+E"))
    assert changed.init == BASE.init and changed.rates == BASE.rates


def test_ours_is_the_preset_and_member_never_fuses_in_training() -> None:
    assert config("ours") == BASE
    assert all(stage.ensemble_from >= stage.steps for stage in config("ours-member").stages)
    assert any(stage.ensemble_from < stage.steps for stage in BASE.stages)


def test_rows_are_selected_by_name_in_the_order_of_the_table() -> None:
    assert [row.name for row in select_rows(["ours", "baseline"], BASE)] == ["baseline", "ours"]
    names = [row.name for row in select_rows(None, BASE)]
    assert "ours-M4" not in names, "quick has four members: that is ours itself"
    assert len(names) == len(ROWS) - 1
    for bad, sentence in ((["+Q"], "no row '\\+Q'"), ([], "empty"), (["ours", "ours"], "twice")):
        with pytest.raises(UserError, match=sentence):
            select_rows(bad, BASE)
    with pytest.raises(UserError, match="paper has no mesh motion"):
        select_rows(None, preset("paper"))


# --- table -----------------------------------------------------------------------------------------------------------


def made_metrics(psnr: float, *, e_fid: float | None = 4.0) -> dict[str, Any]:
    row = {
        "regions": {name: {"psnr_db": {"mean": psnr}, "ssim": {"mean": 0.9}} for name in ("head", "mouth")},
        "lmd_px": {"mean": 2.0},
        "opening": {"correlation": None, "amplitude": 0.8, "lag_frames": 1},
        "measures": {"e_fid": {"value": e_fid}, "missing": {"value": None, "unavailable": "no weights"}},
    }
    real = row | {"measures": {"e_fid": {"value": 0.1}}}
    return {
        "rows": {"real": real, "driven": row, "audio-only": row},
        "settings": {
            "given": {"subject": "made.mp4", "backend": "numba"},
            "measures": {"e_fid": {"title": "E-FID", "unit": "", "ideal": "lower"}},
        },
        "provenance": {"software": {"commit": "abc"}},
    }


def made_cell(out: Path, name: str, seed: int, psnr: float, **changes: Any) -> Path:
    folder = out / name / f"seed{seed}"
    cell = Cell(
        row=name,
        seed=seed,
        config=replace(config(name), seed=seed),
        max_steps=None,
        overrides={},
        subject_sha256="0" * 64,
        subject=out,
        device="cpu",
    )
    write_cell(folder, replace(cell, **changes))
    write_json(folder / METRICS, made_metrics(psnr, e_fid=8.0 if name == "baseline" else 4.0))
    return folder


def test_means_spreads_and_differences(tmp_path: Path) -> None:
    for name, values in {"baseline": (20.0, 22.0), "+P+E+U": (23.0, 24.0), "ours-M1": (25.0,)}.items():
        for seed, psnr in enumerate(values):
            made_cell(tmp_path, name, seed, psnr)
    table = ablation_table(tmp_path)
    assert list(table["rows"]) == ["baseline", "+P+E+U", "ours-M1"]
    driven = {name: row["protocols"]["driven"] for name, row in table["rows"].items()}
    assert driven["baseline"]["head_psnr_db"]["mean"] == 21
    assert driven["baseline"]["head_psnr_db"]["std"] == pytest.approx(2**0.5)
    assert driven["baseline"]["head_psnr_db"]["delta_to_baseline"] is None
    delta = driven["+P+E+U"]["head_psnr_db"]["delta_to_baseline"]
    assert delta["mean"] == 2.5 and delta["std"] == pytest.approx(0.5**0.5), "paired by seed: 3 and 2"
    one = driven["ours-M1"]["head_psnr_db"]
    assert one["std"] is None and one["delta_to_baseline"]["mean"] == 5.0, "seed 0 against seed 0"
    assert one["delta_to_ours"] is None
    assert driven["+P+E+U"]["opening_r"]["mean"] is None
    assert "missing" not in table["columns"] and table["columns"]["e_fid"]["title"] == "E-FID"
    assert driven["+P+E+U"]["e_fid"]["delta_to_baseline"]["relative"] == -0.5
    assert table["schema"] == 1 and json.loads((tmp_path / "ablations.json").read_text()) == table
    paper = {d["metric"]: d for d in table["paper"]["differences"]}
    assert paper["PSNR"]["delta"] == 2.875 and paper["Sync-C"]["delta"] == 0.266 and paper["E-FID"]["relative"] < -0.59


def test_texts_say_what_was_measured(tmp_path: Path) -> None:
    for name in ("baseline", "+P+E+U", "ours", "ours-uniform"):
        for seed, psnr in enumerate((20.0, 22.0)):
            made_cell(tmp_path, name, seed, psnr + len(name))
    table = ablation_table(tmp_path)
    text, marked = plain_text(table), (tmp_path / "ablations.md").read_text()
    assert text == (tmp_path / "ablations.txt").read_text()
    assert "| head PSNR (dB) ↑ | 29.00 ± 1.41 | 27.00 ± 1.41 | 25.00 ± 1.41 |" in marked
    assert "| head PSNR (dB) ↑ | -2.00 ± 0.00 | +2.88 | -4.00 ± 0.00 |" in marked, "the paper's stands beside +P+E+U"
    assert "| E-FID ↓ | -4.000 ± 0.000 (-50%) | -0.211 (-59%) |" in marked
    assert "opening r ↑" in text and "–" in text, "what is undefined is a dash"
    for name in ("baseline", "ours-uniform"):
        assert f"**{name}**: {ROWS[name].says}" in marked
    assert "MEAD subjects" in marked and "differ" in marked


def test_no_seed_counts_for_another(tmp_path: Path) -> None:
    cells = [
        {"row": "baseline", "seed": 0, "training_s": 10.0, "metrics": {"driven": {"x": 1.0}}},
        {"row": "ours", "seed": 1, "training_s": None, "metrics": {"driven": {"x": 4.0}}},
    ]
    rows = table_rows(cells, ["x"])
    assert rows["ours"]["protocols"]["driven"]["x"]["delta_to_baseline"] is None
    assert rows["baseline"]["training_s"] == 10 and rows["ours"]["training_s"] is None
    with pytest.raises(UserError, match="no finished cell"):
        ablation_table(tmp_path)


# --- runs ------------------------------------------------------------------------------------------------------------

FRAMES = 200


def speaking_subject(folder: Path) -> Subject:
    """The tiny subject, longer, with sound and speech features made of numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "FRAMES", FRAMES)
        subject = tiny.tiny_subject(folder)
    rng = np.random.default_rng(0)
    count = 4 * FRAMES + 1
    phones = np.repeat(np.eye(42, dtype=np.float32)[rng.integers(39, size=count // 10 + 1)], 10, axis=0)[:count]
    phones[:40] = np.eye(42, dtype=np.float32)[phone_names().index("SIL")]
    mel = rng.normal(-4, 0.5, (count, 80)).astype(np.float32)
    voice = rng.random((count, 9), np.float32)
    SpeechFeatures(phones, mel, voice, encoder=PhoneEncoder().name).save(folder / "speech.npz")
    soundfile.write(folder / "audio.flac", rng.normal(0, 0.1, FRAMES * 640), 16000)
    written = {"frames": ["frames"], "audio": ["audio.flac"], "expression": ["track.npz"], "speech": ["speech.npz"]}
    for stage in (*STAGES, "speech"):
        subject.finish_stage(stage, written.get(stage, []), {"present": True})
    return subject


def tiny_preset(name: str, *, seed: int = 0, max_steps: int | None = None, overrides: object = None) -> TrainConfig:
    """Three steps a stage."""
    config = tiny.tiny_config()
    stages = (replace(stage, steps=3, static_steps=1, refine_poses_at=(), ensemble_from=1) for stage in config.stages)
    return replace(config, seed=seed, stages=tuple(stages))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset of nine steps and priors of a few."""

    def quick_priors(seed: int) -> PriorsConfig:
        return PriorsConfig(folds=2, style=StyleConfig(steps=1, batch=1, length=10), seed=seed)

    monkeypatch.setattr(ablation_runs, "preset", tiny_preset)
    monkeypatch.setattr("ua3dtalk.recipes.train.PriorsConfig", quick_priors)
    monkeypatch.setattr("ua3dtalk.recipes.ablation.subject.PriorsConfig", quick_priors)


def test_a_cell_goes_all_the_way_and_is_not_done_twice(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = speaking_subject(tmp_path / "subject")
    before = {path: path.stat().st_mtime_ns for path in subject.folder.rglob("*")}
    out = tmp_path / "out"
    plan = AblationPlan(rows=("baseline",), seeds=1)
    table = run_ablations(subject.folder, out, plan)
    assert table["failed"] == {}
    driven = table["rows"]["baseline"]["protocols"]["driven"]
    assert driven["head_psnr_db"]["mean"] > 10
    assert table["cells"][0]["training_s"] > 0 and table["settings"]["subject"] == "tiny.mp4"
    assert {path: path.stat().st_mtime_ns for path in subject.folder.rglob("*")} == before, "the subject is only read"
    cell = read_cell(out / "baseline" / "seed0")
    assert cell.config == ROWS["baseline"].change(tiny_preset("tiny"))

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a finished cell was run again")

    monkeypatch.setattr(ablation_runs, "run_cell", refused)
    again = run_ablations(subject.folder, out, plan)
    assert again["rows"] == table["rows"]
    (out / "baseline" / "seed0" / METRICS).unlink()
    with pytest.raises(AssertionError, match="run again"):
        run_ablations(subject.folder, out, plan)
    monkeypatch.undo()
    # As a process of its own: only the evaluation is left to do.
    measured = ablation_runs._run_processes([out / "baseline" / "seed0"], 2, _Quiet())
    assert measured == {}
    found = ablation_table(out)["rows"]["baseline"]["protocols"]["driven"]["head_psnr_db"]["mean"]
    assert found == pytest.approx(driven["head_psnr_db"]["mean"], abs=1e-3)
    assert "evaluate: done in" in (out / "baseline" / "seed0" / "log.txt").read_text()


class _Quiet:
    def advance(self, steps: int = 1, note: str = "") -> None:
        return None


def test_a_half_trained_cell_goes_on_and_a_failed_one_does_not_stop_the_others(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = speaking_subject(tmp_path / "subject")
    done: list[str] = []

    def run(folder: Path, progress: object) -> None:
        done.append(folder.parent.name)
        if folder.parent.name == "baseline":
            raise FloatingPointError("Loss is not finite.")
        write_json(folder / METRICS, made_metrics(30.0))

    monkeypatch.setattr(ablation_runs, "run_cell", run)
    monkeypatch.setattr(ablation_runs, "subject_with_priors", lambda subject, folder, *_: folder)
    plan = AblationPlan(rows=("baseline", "ours"), seeds=1)
    table = run_ablations(subject.folder, tmp_path / "out", plan)
    assert done == ["baseline", "ours"] and list(table["rows"]) == ["ours"]
    assert table["failed"] == {"baseline/seed0": "Loss is not finite."}
    run_ablations(subject.folder, tmp_path / "out", plan)
    assert done == ["baseline", "ours", "baseline"]


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    folder = made_cell(tmp_path, "ours", 0, 30.0, subject=tmp_path / "gone")
    (folder / METRICS).unlink()
    failed = ablation_runs._run_processes([folder], 2, _Quiet())
    assert "gone is not a subject folder" in failed["ours/seed0"]


def test_cells_of_another_run_are_refused(tmp_path: Path) -> None:
    made_cell(tmp_path, "ours", 0, 30.0)
    same = AblationPlan()
    ablation_runs.require_same_run(tmp_path, same, "0" * 64)
    others = (replace(same, preset="standard"), replace(same, max_steps=100), replace(same, overrides={"a.b": 1}))
    for plan, subject in (*((other, "0" * 64) for other in others), (same, "1" * 64)):
        with pytest.raises(UserError, match="belongs to another run"):
            ablation_runs.require_same_run(tmp_path, plan, subject)
    with pytest.raises(UserError, match="made with another config"):
        made_cell(tmp_path, "ours", 0, 30.0, config=replace(BASE, seed=7))


def test_every_seed_has_its_own_priors_and_nothing_is_copied(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = speaking_subject(tmp_path / "subject")
    seeds: list[int] = []

    def fit(view: Subject, priors: PriorsConfig, progress: object) -> None:
        seeds.append(priors.seed)
        (view.folder / "priors.safetensors").write_bytes(bytes([priors.seed]))
        view.finish_stage("priors", ["priors.safetensors"], {})

    monkeypatch.setattr("ua3dtalk.recipes.ablation.subject.fit_priors", fit)
    views = [ablation_runs.subject_with_priors(subject, tmp_path / f"seed{seed}", seed, Silent()) for seed in (0, 1, 0)]
    assert seeds == [0, 1, 0]
    for seed, view in zip((0, 1), views[:2], strict=True):
        assert (view / "frames").readlink() == (subject.folder / "frames").resolve()
        assert (view / "priors.safetensors").read_bytes() == bytes([seed])
        Subject.open(view)
    assert not (subject.folder / "priors.safetensors").exists()
    subject.finish_stage("frames", ["frames"], {"present": True, "prepared": "again"})
    ablation_runs.subject_with_priors(subject, views[0], 0, Silent())
    assert Subject.open(views[0]).facts("frames")["prepared"] == "again"
