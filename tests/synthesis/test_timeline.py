"""Emotions over time: both forms of the file, smooth transitions, one clear sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.features import EmotionMix
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
    mix = timeline_track(moments, 250)
    assert mix.labels == ("happy", "sad")
    assert np.allclose(mix.strengths[:92], [1, 0]) and np.allclose(mix.strengths[108:], [0, 0.5])


def at(mix: EmotionMix, time_s: float) -> dict[str, float]:
    """What is felt at a time."""
    row = mix.strengths[round(time_s * 25)]
    return {name: round(float(v), 3) for name, v in zip(mix.labels, row, strict=True) if v > 0.0005}


def test_spans_are_neutral_between(tmp_path: Path) -> None:
    path = write(tmp_path, "start_s,end_s,label,intensity\n1,3,happy,0.8\n3,5,sad,\n7,8,happy,1\n")
    mix = timeline_track(read_timeline(path, LABELS, 10.0), 250)
    assert at(mix, 0) == at(mix, 6) == at(mix, 9) == {}
    assert at(mix, 2) == {"happy": 0.8} and at(mix, 4) == {"sad": 1.0} and at(mix, 7.48) == {"happy": 1.0}
    assert at(mix, 3) == {"happy": 0.4, "sad": 0.5}  # one fades while the other rises


@pytest.mark.parametrize("gap_s", [0.04, 0.2, 0.7, 3.0])
def test_transitions_are_smooth_and_never_too_strong(gap_s: float) -> None:
    """However near the moments are: no jump, nothing beyond 1 altogether, nothing below 0."""
    names = ("happy", "sad", "happy", "neutral", "sad")
    moments = [Moment(time_s=0.5 + i * gap_s, label=name, intensity=1.0) for i, name in enumerate(names)]
    strengths = timeline_track(moments, 500).strengths
    assert strengths.min() >= 0 and strengths.sum(axis=1).max() <= 1 + 1e-6
    assert np.abs(np.diff(strengths, axis=0)).max() <= np.pi / 2 / 15 + 1e-6  # a raised cosine over 15 frames
    assert (strengths[0] == 0).all() and np.allclose(strengths[-1].sum(), 1)


def test_same_label_glides_without_a_dip() -> None:
    moments = [Moment(time_s=0.0, label="sad", intensity=0.2), Moment(time_s=2.0, label="sad", intensity=1.0)]
    intensity = timeline_track(moments, 100).strengths[:, 0]
    assert (np.diff(intensity) >= -1e-6).all() and intensity[0] == pytest.approx(0.2) and intensity[-1] == 1.0


MISTAKES = {
    "empty": ("", "holds no lines"),
    "header only": ("time_s,label,intensity\n", "holds no lines"),
    "no header": ("0,happy,1\n1,sad,1\n", "no column 'time_s'"),
    "spans without an end": ("start_s,label\n0,happy\n", "no column 'end_s'"),
    "unsorted": ("time_s,label\n4,happy\n2,sad\n", "line 3 is earlier"),
    "twice": ("time_s,label\n2,happy\n2,sad\n", "second time"),
    "after the sound": ("time_s,label\n12,happy\n", "line 2: 12 s is outside the speech of 10.00 s"),
    "before the sound": ("time_s,label\n-1,happy\n", "outside"),
    "a word for a time": ("time_s,label\nsoon,happy\n", "time_s 'soon' is not a number"),
    "a time that is no number": ("time_s,label\nnan,happy\n", "not a number"),
    "too strong": ("time_s,label,intensity\n0,happy,2\n", "intensity 2 is out of range"),
    "a word for a strength": ("time_s,label,intensity\n0,happy,much\n", "intensity 'much' is not a number"),
    "an endless strength": ("time_s,label,intensity\n0,happy,inf\n", "intensity 'inf' is not a number"),
    "unknown label": ("time_s,label\n0,hapy\n", "emotion 'hapy' is not known. Use neutral, happy, sad."),
    "no label": ("time_s,label\n0\n", "emotion '' is not known"),
    "overlap": ("start_s,end_s,label\n1,4,happy\n3,5,sad\n", "line 3 overlaps"),
    "unsorted spans": ("start_s,end_s,label\n5,6,happy\n3,4,sad\n", "line 3 overlaps or precedes"),
    "ends before it starts": ("start_s,end_s,label\n4,1,happy\n", "before it starts"),
    "ends after the sound": ("start_s,end_s,label\n4,11,happy\n", "outside"),
    "end is no number": ("start_s,end_s,label\n4,late,happy\n", "end_s 'late' is not a number"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence(tmp_path: Path, name: str) -> None:
    text, message = MISTAKES[name]
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
