"""What a prior was trained on can be shown from a file or from the folder that holds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ua3dtalk.cli.main import main
from ua3dtalk.cli.recordings import read_recordings
from ua3dtalk.core.checkpoint import save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_corpora import CorpusFile


def test_what_comes_with_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["priors", "show"]) == 0
    text = capsys.readouterr().out
    assert "content (lip expert)\n  trained on  22 speakers" in text
    assert main(["priors", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["priors"]
    assert {"name", "trained_on", "figures"} == set(rows[0])
    assert all(row["name"] in text and row["trained_on"] in text for row in rows)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (".", "priors.safetensors does not exist"),
        ("face.safetensors", "holds 'avatar.face', expected 'priors'"),
        ("gone", "gone does not exist"),
    ],
)
def test_what_is_no_prior_is_said(name: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_tensors(tmp_path / "face.safetensors", {"w": torch.ones(1)}, kind="avatar.face", header={})
    assert main(["priors", "show", str(tmp_path / name)]) == 2
    assert sentence in capsys.readouterr().err


def test_content_is_not_trained_on_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.safetensors"
    assert main(["priors", "train-content", "--out", str(out)]) == 2
    assert "fewer than 3 speakers" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,label\na.wav,happy\n", "has no column 'file'"),
        ("file,speaker,label\n", "holds no recordings"),
        ("file,speaker,label\ngone.wav,anna,happy\n", "line 2: "),
        ("file,speaker,label\na.wav,anna,\n", "line 2: a value is missing"),
        ("file,speaker,label\na.wav,anna\n", "line 2: a value is missing"),
        ("\xff\x00", "has no column 'file'"),
    ],
)
def test_a_bad_table_of_recordings_is_named(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "table.csv").write_text(text)
    out = tmp_path / "teacher.safetensors"
    assert main(["priors", "train-emotion", str(tmp_path / "table.csv"), "--out", str(out)]) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_recordings_are_found_beside_their_table(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "table.csv").write_text("file,speaker,label\na.wav, anna ,Happy\n")
    assert read_recordings(tmp_path / "table.csv") == [
        CorpusFile(file=tmp_path / "a.wav", speaker="anna", label="happy", intensity=None)
    ]


def test_intensity_is_read_where_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "table.csv").write_text("file,speaker,label,intensity\na.wav,anna,happy,0.5\na.wav,anna,happy,\n")
    assert [r.intensity for r in read_recordings(tmp_path / "table.csv")] == [0.5, None]
    (tmp_path / "table.csv").write_text("file,speaker,label,intensity\na.wav,anna,happy,loud\n")
    with pytest.raises(UserError, match="line 2: intensity 'loud'"):
        read_recordings(tmp_path / "table.csv")
