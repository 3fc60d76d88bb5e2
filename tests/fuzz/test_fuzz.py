"""Damaged files give a sentence or a result: the short version of ``benchmarks/fuzz.py``, and what it found."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import read_json
from ua3dtalk.recipes.presets import preset
from ua3dtalk.subject.labels import read_emotion_csv
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.synthesis.pose import read_poses
from ua3dtalk.synthesis.timeline import read_timeline
from ua3dtalk.training.config import TrainConfig

EACH = 25


@pytest.fixture(scope="module")
def fuzz(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("benchmarks/fuzz.py")


def test_damaged_files_are_refused_or_read(fuzz: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "work").mkdir()
    fuzz.make_seeds(tmp_path / "seeds")
    run = fuzz.Fuzz(tmp_path / "seeds", tmp_path / "work", seed=7)
    run.run([given for name in fuzz.READERS for given in run.draw([name], EACH)])
    result = run.result()
    assert result["inputs"] == EACH * len(fuzz.READERS)
    assert not result["faults"], result["kinds_of_faults"]
    refused = [name for name, found in result["readers"].items() if found.get("refused", 0) > 0]
    assert refused == list(fuzz.READERS), "every reader met damage"


def test_the_benchmark_sees_faults(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that raises, kills its process, or never ends is found."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "work").mkdir()
    fuzz.make_seeds(tmp_path / "seeds")

    def read(path: Path) -> None:
        import os

        how = path.read_text()
        if how == "raise":
            raise KeyError("x")
        if how == "die":
            os.kill(os.getpid(), 9)
        while how == "hang":
            pass

    monkeypatch.setitem(fuzz.READERS, "json", fuzz.Reader(read, ("config.json",)))
    monkeypatch.setattr(fuzz, "HANG_S", 0.3)
    run = fuzz.Fuzz(tmp_path / "seeds", tmp_path / "work", seed=0)
    run.run([("json", "x", how.encode()) for how in ("raise", "die", "fine", "hang", "fine")])
    assert [fault.data for fault in run.faults] == [b"raise", b"die", b"hang"]
    assert run.result()["inputs"] == 5


# --- what fuzzing found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "\xff"])
def test_json_that_is_too_deep_or_too_long_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="latin1")
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "change",
    [
        {"files": 1},
        {"files": {"a": {"bytes": 1}}},
        {"files": {"../stranger": {"bytes": 1, "sha256": ""}}},
        {"files": {"/etc/hostname": {"bytes": 1, "sha256": ""}}},
        {"files": {"[" * 3000: {"bytes": 1, "sha256": ""}}},
        {"folders": {"..": 1}},
        {"folders": None},
        {"settings": None},
        {"facts": []},
    ],
)
def test_a_subjects_records_are_checked(tmp_path: Path, change: dict[str, object]) -> None:
    source = SourceFacts(name="v", sha256="0" * 64, num_frames=2, width=8, height=6)
    Subject.create(tmp_path / "s", source).finish_stage("frames", [], {})
    index = tmp_path / "s" / "subject.json"
    plain = json.loads(index.read_text())
    plain["stages"]["frames"] |= change
    index.write_text(json.dumps(plain))
    with pytest.raises(UserError, match=r"subject\.json is damaged"):
        Subject.open(tmp_path / "s", ())


def test_archives_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "poses.npz"
    np.savez(path, viewmats=np.eye(4)[None])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 6] = 200  # a zip of a version to come
    path.write_bytes(data)
    with pytest.raises(UserError, match="cannot be read"):
        read_poses(path)
    with pytest.raises(UserError, match="cannot be read"):
        SpeechFeatures.load(path)


def test_an_archive_that_promises_more_than_there_is_memory(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", viewmats=np.eye(4)[None])
    with zipfile.ZipFile(tmp_path / "a.npz") as whole:
        content = whole.read("viewmats.npy").replace(b"(1, 4, 4), }", b"(9999999999999, 4, 4), }")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as made:
        made.writestr("viewmats.npy", content)
    with pytest.raises(UserError, match=r"b\.npz"):
        read_poses(tmp_path / "b.npz")


def test_a_whole_number_beyond_all_numbers_with_a_point_is_refused() -> None:
    with pytest.raises(UserError, match=r"c\.losses\.alpha is too large"):
        from_plain(TrainConfig, to_plain(preset("quick")) | {"losses": {"alpha": int("9" * 400)}}, "c")


# --- tables of any text ----------------------------------------------------------------------------------------------

CELL = st.one_of(st.text(max_size=8), st.floats().map(str), st.integers().map(str), st.sampled_from(["happy", "sad"]))
TABLE = st.lists(st.lists(CELL, max_size=5).map(",".join), max_size=5).map("\n".join)
QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(body=TABLE, header=st.sampled_from(["time_s,label,intensity", "start_s,end_s,label,intensity", "x"]))
def test_any_table_is_a_timeline_or_a_sentence(tmp_path: Path, header: str, body: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n{body}", encoding="utf-8", errors="surrogateescape")
    for read in (lambda p: read_timeline(p, ("happy", "sad"), 10.0), read_emotion_csv):
        try:
            read(path)
        except UserError as error:
            assert "t.csv" in str(error)
