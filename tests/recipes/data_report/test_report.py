"""The report of a made subject: true to it, written once, and read back before training."""

from __future__ import annotations

import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_subject import MadeActor

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.recipes.data_report import report as report_module
from ua3dtalk.recipes.data_report.finding import Finding
from ua3dtalk.recipes.data_report.report import recorded_findings, refusal, write_data_report
from ua3dtalk.recipes.train import require_trainable
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.store import Subject

LABELS = (EmotionSpan(start_s=0.0, end_s=3.0, label="happy<b>", intensity=0.5),)


def report_of(subject: Subject, start_s: float = 0.0) -> tuple[list[Finding], dict[str, Any]]:
    findings = write_data_report(subject, start_s, Silent())
    return findings, json.loads((subject.folder / "report.json").read_text())["facts"]


@pytest.fixture(scope="module")
def subject(made: MadeActor, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A subject with its report."""
    subject = made.write(tmp_path_factory.mktemp("with space") / "subject", labels=LABELS)
    write_data_report(subject, 0.0, Silent())
    return subject


def test_numbers_are_the_actors(subject: Subject, made: MadeActor) -> None:
    plain = json.loads((subject.folder / "report.json").read_text())
    facts = plain["facts"]
    assert plain["video"] == "made.mp4" and {"software", "hardware"} <= set(plain["provenance"])
    assert facts["video"]["num_frames"] == made.count and facts["video"]["seconds"] == made.seconds
    assert facts["video"]["frozen"] == facts["video"]["scene_cuts"] == facts["video"]["jumps"] == []
    assert facts["tracking"]["tracked"] == made.count and facts["tracking"]["interpolated"] == 0
    assert facts["tracking"]["reprojection_px"] == 1.0 and facts["tracking"]["other_faces"] == []
    assert facts["mouth"]["opening"][1] == pytest.approx(float(np.median(made.track().opening)))
    assert facts["speech"]["offset_ms"] == 40.0 and 1.5 < facts["speech"]["voiced_s"] <= made.seconds
    assert facts["emotion"]["seconds"] == {"happy<b>": {"0.5": 3.0}} and facts["emotion"]["unlabelled_s"] == 1.0
    skin = np.concatenate([made.frames[i][made.labels[i] == 4] for i in (0, 50)]) @ [0.299, 0.587, 0.114]
    assert facts["light"]["skin_brightness"] == pytest.approx(np.median(skin), abs=6)


def test_the_page_needs_nothing_else(subject: Subject) -> None:
    page = (subject.folder / "report.html").read_text()
    assert not re.search(r"(src|href)=['\"]?(https?:|//|/)", page)
    assert page.count("data:image/jpeg") == 8 + 6 + 3 and page.count("<svg") >= 8
    assert "width=device-width" in page and "prefers-color-scheme:dark" in page
    assert "happy<b>" not in page and "happy&lt;b&gt;" in page
    for finding in recorded_findings(subject):
        assert escape(finding.what) in page
    assert "nan" not in re.sub(r"base64,[^']*", "", page)


def test_it_is_made_again_only_when_something_changed(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(subject.folder, folder)
    copy, count = Subject.resume(folder), 0
    real = report_module.measure

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return real(*arguments)

    monkeypatch.setattr(report_module, "measure", counted)
    assert write_data_report(copy, 0.0, Silent()) == recorded_findings(subject) and count == 0
    (folder / "report.html").unlink()
    assert Subject.open(folder).stage_done("report"), "the subject is whole without its report"
    write_data_report(copy, 0.0, Silent())
    assert count == 1 and (folder / "report.html").exists()
    copy.set_labels(())
    write_data_report(copy, 0.0, Silent())
    write_data_report(copy, 5.0, Silent())
    assert count == 3
    assert not [path for path in folder.iterdir() if "partial" in path.name]


def test_a_broken_report_leaves_nothing_half_written(
    made: MadeActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = made.write(tmp_path / "subject", mute=True)

    def broken(*_: Any) -> None:
        raise OSError("disk")

    monkeypatch.setattr(report_module, "render_page", broken)
    with pytest.raises(OSError, match="disk"):
        write_data_report(subject, 0.0, Silent())
    assert not list(subject.folder.glob("*report*")) and not subject.stage_done("report")


def test_missing_frames(made: MadeActor, tmp_path: Path) -> None:
    frames = [*made.frames[:40], *[made.frames[40]] * 20, *made.frames[60:]]
    findings, facts = report_of(made.write(tmp_path / "frozen", frames), start_s=10.0)
    assert facts["video"]["frozen"] == [[11.64, 12.4]], "times are those of the source video"
    assert any("missing frames" in f.what and "11.6–12.4 s" in f.what for f in findings)
    assert all(f.stops != "prepare" for f in findings)


def test_few_pictures_per_second(made: MadeActor, tmp_path: Path) -> None:
    frames = [made.frames[i // 2 * 2] for i in range(made.count)]
    findings, facts = report_of(made.write(tmp_path / "slow", frames))
    assert facts["video"]["new_pictures_per_s"] == pytest.approx(12.5, abs=0.5) and facts["video"]["frozen"] == []
    assert any("pictures per second are new" in f.what for f in findings)


def test_still_image_as_video(made: MadeActor, tmp_path: Path, rng: np.random.Generator) -> None:
    photo = made.frames[10].astype(np.int16)
    frames = [(photo + rng.integers(-2, 3, photo.shape)).clip(0, 255).astype(np.uint8) for _ in range(made.count)]
    subject = made.write(tmp_path / "still", frames)
    findings, _ = report_of(subject)
    assert findings[0].level == "refuse" and "A photo holds no motion" in findings[0].what
    assert refusal(subject) == findings[0]


def test_cut_to_another_scene(made: MadeActor, tmp_path: Path) -> None:
    frames = [*made.frames[:60], *(255 - frame[:, ::-1] for frame in made.frames[60:])]
    findings, facts = report_of(made.write(tmp_path / "cut", frames), start_s=3.0)
    assert facts["video"]["scene_cuts"] == [5.4] and facts["video"]["longest_scene"] == [3.0, 5.4]
    assert findings[0].stops == "prepare" and "another scene or view at 5.4 s" in findings[0].what


def test_black_seconds_that_are_short(made: MadeActor, tmp_path: Path) -> None:
    frames = [*made.frames[:40], *[np.zeros_like(made.frames[0])] * 20, *made.frames[60:]]
    findings, facts = report_of(made.write(tmp_path / "black", frames))
    assert facts["video"]["black"] == [[1.6, 2.4]] and facts["video"]["scene_cuts"] == facts["video"]["frozen"] == []
    assert any("black at 1.6–2.4 s" in f.what for f in findings)
    assert facts["light"]["drift"] < 0.15


def test_second_face_entering(made: MadeActor, tmp_path: Path) -> None:
    empty = np.full_like(made.frames[0], 90)
    frames = [np.concatenate([f, f[:, ::-1] if i >= 50 else empty], 1) for i, f in enumerate(made.frames)]
    findings, facts = report_of(made.write(tmp_path / "two", frames))
    seen = facts["tracking"]["other_faces"]
    assert seen and min(seen) >= 2.0, "only in the second half"
    assert any("Another face is in the picture" in f.what and "stayed with the main one" in f.what for f in findings)


def test_training_is_refused_before_it_begins(made: MadeActor, subject: Subject, tmp_path: Path) -> None:
    mute = made.write(tmp_path / "mute", mute=True)
    with pytest.raises(UserError, match="has no speech to learn from"):
        require_trainable(mute)
    write_data_report(mute, 0.0, Silent())
    with pytest.raises(
        UserError, match=r"cannot be trained on\. The video has no speech to learn from: it has no sound"
    ):
        require_trainable(mute)
    with pytest.raises(UserError, match=r"too short to learn from: 75 training frames"):
        require_trainable(subject)
