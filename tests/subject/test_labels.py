"""Emotion labels from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.labels import HEAD_LABELS, Label, read_emotion_csv


def test_head_is_everything_from_hair_to_inner_mouth() -> None:
    assert [int(label) for label in HEAD_LABELS] == [3, 4, 5, 6, 7, 8]
    assert Label.NECK not in HEAD_LABELS


def test_spans_are_read_and_sorted(tmp_path: Path) -> None:
    path = tmp_path / "emotion labels.csv"
    path.write_text("start_s, end_s, label, intensity\n4, 6, Sad, 0.5\n0, 2.5, happy,\n")
    spans = read_emotion_csv(path)
    assert [(s.start_s, s.end_s, s.label, s.intensity, s.varies) for s in spans] == [
        (0.0, 2.5, "happy", 1.0, True),
        (4.0, 6.0, "sad", 0.5, False),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [("2,1,happy,1", "start_s < end_s"), ("0,1,happy,7", "0..1"), ("0,x,happy,1", "could not"), ("0,1,,1", "label")],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"start_s,end_s,label,intensity\n0,1,sad,1\n{row}\n")
    with pytest.raises(UserError, match=f"line 3: .*{reason}"):
        read_emotion_csv(path)


def test_a_missing_column_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("from,to,label\n0,1,sad\n")
    with pytest.raises(UserError, match="start_s"):
        read_emotion_csv(path)
    with pytest.raises(UserError, match=r"none\.csv does not exist"):
        read_emotion_csv(tmp_path / "none.csv")
