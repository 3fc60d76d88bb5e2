"""Emotions over time: both forms of the file, smooth transitions, one clear sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.synthesis.timeline import Moment, read_timeline, timeline_track

LABELS = ("neutral", "happy", "sad")


def write(folder: Path, text: str) -> Path:
    path = folder / "emotions over time.csv"
    path.write_text(text)
    return path


def test_points_hold_until_the_next(tmp_path: Path) -> None:
    path = write(tmp_path, "time_s,label,intensity\n# a comment\n\n0, Happy, 1\n4,sadness,0.5\n")
    moments = read_timeline(path, LABELS, 10.0)
    assert moments == [
        Moment(time_s=0.0, label="happy", intensity=1.0),
        Moment(time_s=4.0, label="sad", intensity=0.5),
    ]
    labels, intensity = timeline_track(moments, 250)
    assert labels[:100] == ["happy"] * 100 and labels[100:] == ["sad"] * 150
    assert (intensity[:92] == 1).all() and np.allclose(intensity[108:], 0.5)
    assert intensity[100] < 0.05  # labels change where neither is felt
    assert np.abs(np.diff(intensity)).max() < 0.25  # 7 frames down: at most π/2/7.5 per frame


def test_spans_are_neutral_between(tmp_path: Path) -> None:
    path = write(tmp_path, "start_s,end_s,label,intensity\n1,3,happy,0.8\n3,5,sad,\n7,8,happy,1\n")
    labels, intensity = timeline_track(read_timeline(path, LABELS, 10.0), 250)
    at = lambda s: (labels[round(s * 25)], round(float(intensity[round(s * 25)]), 3))  # noqa: E731
    assert at(0)[1] == 0 and at(2) == ("happy", 0.8) and at(4) == ("sad", 1.0)
    assert at(6)[1] == 0 and at(7.5) == ("happy", 1.0) and at(9)[1] == 0


def test_same_label_glides_without_a_dip() -> None:
    moments = [Moment(time_s=0.0, label="sad", intensity=0.2), Moment(time_s=2.0, label="sad", intensity=1.0)]
    _, intensity = timeline_track(moments, 100)
    assert (np.diff(intensity) >= -1e-12).all() and intensity[0] == 0.2 and intensity[-1] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no lines"),
        ("time_s,label,intensity\n", "holds no lines"),
        ("0,happy,1\n1,sad,1\n", "no column 'time_s'"),
        ("start_s,label\n0,happy\n", "no column 'end_s'"),
        ("time_s,label\n4,happy\n2,sad\n", "line 3 is earlier"),
        ("time_s,label\n2,happy\n2,sad\n", "second time"),
        ("time_s,label\n12,happy\n", "line 2: 12 s is outside the speech of 10.00 s"),
        ("time_s,label\n-1,happy\n", "outside"),
        ("time_s,label\nsoon,happy\n", "time_s 'soon' is not a number"),
        ("time_s,label\nnan,happy\n", "not a number"),
        ("time_s,label,intensity\n0,happy,2\n", "intensity 2 is out of range"),
        ("time_s,label,intensity\n0,happy,much\n", "intensity 'much' is not a number"),
        ("time_s,label\n0,hapy\n", "emotion 'hapy' is not known. Use neutral, happy, sad."),
        ("start_s,end_s,label\n1,4,happy\n3,5,sad\n", "line 3 overlaps"),
        ("start_s,end_s,label\n4,1,happy\n", "before it starts"),
        ("start_s,end_s,label\n4,11,happy\n", "outside"),
        ("time_s,label\n0\n", "emotion '' is not known"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_timeline(write(tmp_path, text), LABELS, 10.0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_timeline(tmp_path / "none.csv", LABELS, 10.0)
    (tmp_path / "x.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(UserError, match="not a CSV"):
        read_timeline(tmp_path / "x.csv", LABELS, 10.0)
    with pytest.raises(UserError, match="cannot be read"):
        read_timeline(tmp_path, LABELS, 10.0)
