"""Where one video of a subject ends and the next begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.parts import joints_of, name_at, sound_offset_frames, spans_of, split_of, videos_of
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import SourceFacts, Subject

PARTS = [
    {"name": "a.mp4", "sha256": "a", "first": 0, "num_frames": 100},
    {"name": "b.mp4", "sha256": "b", "first": 100, "num_frames": 50},
]


def made(folder: Path, videos: Any) -> Subject:
    source = SourceFacts(name="a.mp4, b.mp4", sha256="0", num_frames=150, width=8, height=8)
    subject = Subject.create(folder, source)
    subject.finish_stage("frames", [], {} if videos is None else {"videos": videos})
    return Subject.resume(folder)


def test_joints_are_read_back(tmp_path: Path) -> None:
    subject = made(tmp_path, PARTS)
    assert joints_of(subject) == (100,)
    assert [name_at(subject, i) for i in (0, 99, 100, 149)] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert split_of(subject) == make_split(150, (100,))
    assert spans_of(videos_of(subject), ("sad", "happy")) == (
        EmotionSpan(start_s=0.0, end_s=4.0, label="sad", varies=True),
        EmotionSpan(start_s=4.0, end_s=6.0, label="happy", varies=True),
    )


def test_one_video_has_no_joints(tmp_path: Path) -> None:
    subject = made(tmp_path, None)
    assert videos_of(subject) == () and joints_of(subject) == () and split_of(subject) == make_split(150)
    assert name_at(subject, 3) == "a.mp4, b.mp4"
    assert joints_of(Subject.create(tmp_path / "new", subject.source)) == ()


def test_each_video_has_its_own_offset(tmp_path: Path) -> None:
    subject = made(tmp_path, PARTS)
    subject.finish_stage(
        "speech", [], {"offset_frames": 2.0, "videos": [{"offset_frames": 3.0}, {"offset_frames": 0.0}]}
    )
    assert [sound_offset_frames(subject, i) for i in (0, 99, 100)] == [3.0, 3.0, 0.0]
    single = made(tmp_path / "single", None)
    single.finish_stage("speech", [], {"offset_frames": 2.0})
    assert sound_offset_frames(single, 120) == 2.0


@pytest.mark.parametrize(
    "videos",
    [
        {"a": 1},
        [PARTS[0]],
        [PARTS[1], PARTS[0]],
        [PARTS[0], PARTS[1] | {"first": 90}],
        [PARTS[0] | {"num_frames": 150}, PARTS[1] | {"first": 150, "num_frames": 0}],
        [{"name": "a.mp4"}],
        [PARTS[0], PARTS[1] | {"num_frames": "50"}],
        [1, 2],
    ],
)
def test_damaged_joints_are_refused(tmp_path: Path, videos: Any) -> None:
    with pytest.raises(UserError, match="videos"):
        joints_of(made(tmp_path, videos))
