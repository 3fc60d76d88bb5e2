"""The subject folder notices what is missing, altered or of another version."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.store import STAGES, SourceFacts, Subject
from ua3dtalk.subject.track_data import TrackData

T = 3


def small_track(num_frames: int = T) -> TrackData:
    f4 = lambda *shape: np.zeros(shape, np.float32)  # noqa: E731
    return TrackData(
        viewmats=np.tile(np.eye(4), (num_frames, 1, 1)),
        K=np.eye(3),
        landmarks=f4(num_frames, 478, 3),
        lower=f4(num_frames, 13),
        upper=f4(num_frames, 6),
        opening=np.arange(num_frames, dtype=np.float32),
        width=f4(num_frames),
        action_units=f4(num_frames, 2),
        au_names=("AU12", "AU45"),
        mesh=f4(468, 3),
        mesh_basis=f4(19, 468, 3),
        valid=np.ones(num_frames, bool),
        head_points=f4(num_frames, 468, 3),
    )


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    source = SourceFacts(
        name="a b.mp4",
        sha256="0" * 64,
        num_frames=T,
        width=8,
        height=6,
        labels=(EmotionSpan(start_s=0.0, end_s=0.1, label="happy"),),
    )
    subject = Subject.create(tmp_path / "my subject", source)
    for name, suffix, shape in (("frames", "jpg", (6, 8, 3)), ("parsing", "png", (6, 8)), ("torso", "png", (6, 8, 4))):
        (subject.folder / name).mkdir()
        for i in range(T):
            cv2.imwrite(str(subject.folder / name / f"{i:06d}.{suffix}"), np.full(shape, 40 * i + 5, np.uint8))
    cv2.imwrite(str(subject.folder / "background.png"), np.dstack([np.full((6, 8), v, np.uint8) for v in (10, 20, 30)]))
    small_track().save(subject.folder / "track.npz")
    soundfile.write(subject.folder / "audio.flac", np.zeros(1600, np.float32), 16000)
    made = {"frames": ["frames"], "parsing": ["parsing"], "expression": ["track.npz"], "audio": ["audio.flac"]}
    made["layers"] = ["torso", "background.png"]
    for stage in STAGES:
        subject.finish_stage(stage, made.get(stage, []), {"present": True, "silent": False})
    return subject


def test_everything_comes_back(subject: Subject) -> None:
    again = Subject.open(subject.folder)
    assert (again.num_frames, again.width, again.height, again.fps) == (T, 8, 6, 25.0)
    assert again.labels == subject.labels
    assert again.has_audio
    assert again.parsing(2)[0, 0] == 85
    assert again.torso(1).shape == (6, 8, 4)
    assert again.background()[0, 0].tolist() == [30, 20, 10], "RGB"
    assert again.frame(1).shape == (6, 8, 3)
    assert len(again.audio()) == 1600
    track = again.track()
    assert track.au_names == ("AU12", "AU45")
    np.testing.assert_array_equal(track.opening, [0, 1, 2])


def test_a_read_picture_may_be_changed_without_harm(subject: Subject) -> None:
    subject.frame(0)[:] = 0
    assert subject.frame(0).max() > 0


def test_grey_is_the_frames_brightness(subject: Subject) -> None:
    expected = cv2.cvtColor(subject.frame(1), cv2.COLOR_RGB2GRAY)
    assert np.abs(subject.grey(1).astype(int) - expected).max() <= 1  # roundings of two decoders
    (subject.folder / "frames/000001.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match="damaged"):
        subject.grey(1)


@pytest.mark.parametrize("name", ["track.npz", "background.png", "audio.flac"])
def test_a_missing_file_is_named(subject: Subject, name: str) -> None:
    (subject.folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        Subject.open(subject.folder)


def test_an_altered_file_is_named(subject: Subject) -> None:
    path = subject.folder / "track.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"track\.npz was altered"):
        Subject.open(subject.folder)


def test_a_missing_frame_is_counted(subject: Subject) -> None:
    (subject.folder / "parsing" / "000001.png").unlink()
    with pytest.raises(UserError, match=r"parsing holds 2 files, expected 3"):
        Subject.open(subject.folder)
    with pytest.raises(UserError, match=r"000001\.png is missing"):
        subject.parsing(1)


def test_a_damaged_picture_is_named(subject: Subject) -> None:
    (subject.folder / "frames" / "000000.jpg").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"000000\.jpg is damaged"):
        subject.frame(0)


def test_an_unfinished_subject_is_refused_but_can_be_resumed(subject: Subject) -> None:
    subject.drop_stage("layers")
    with pytest.raises(UserError, match="stage 'layers' has not finished"):
        Subject.open(subject.folder)
    assert Subject.resume(subject.folder).stage_done("parsing")


def test_dropping_a_stage_drops_what_was_made_from_it(subject: Subject) -> None:
    subject.finish_stage("speech", [], {})
    subject.drop_stage("parsing")
    kept = Subject.resume(subject.folder)
    assert [s for s in (*STAGES, "speech") if kept.stage_done(s)] == ["frames", "landmarks", "pose"]


def test_settings_decide_whether_a_stage_is_done(subject: Subject) -> None:
    subject.finish_stage("pose", [], {}, {"weight": 50.0})
    assert subject.stage_done("pose", {"weight": 50.0})
    assert not subject.stage_done("pose", {"weight": 40.0})


def test_other_schemas_and_folders_are_refused(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a subject folder"):
        Subject.open(tmp_path)
    index = subject.folder / "subject.json"
    plain = json.loads(index.read_text())
    index.write_text(json.dumps(plain | {"schema": 99}))
    with pytest.raises(UserError, match="schema 99"):
        Subject.open(subject.folder)
    index.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        Subject.open(subject.folder)


def test_a_track_with_values_that_are_not_finite_is_refused(subject: Subject) -> None:
    track = small_track()
    track.opening[1] = np.nan
    track.save(subject.folder / "track.npz")
    with pytest.raises(UserError, match="opening holds values that are not finite"):
        subject.track()
