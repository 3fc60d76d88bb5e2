"""``prepare`` of several videos of one person: one sequence whose joints nothing is tracked across."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.joined import JoinedVideos
from ua3dtalk.media.video import VideoReader, VideoWriter
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.parts import joints_of, videos_of
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking import same_person, stage_face
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.parsing import ParsingConfig, without_flicker
from ua3dtalk.tracking.pipeline import prepare
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.stage_face import bridge

QUICK = PrepareConfig(video_labels=("Happy", "sad"), parsing=ParsingConfig(keyframes=8, rounds=1))
MOVED_PX = 10


def write(path: Path, frames: list[np.ndarray], sound: np.ndarray | None, fps: int = 25) -> Path:
    with VideoWriter(path, fps, frames[0].shape[1::-1], sound, crf=8) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def videos(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two parts of a clip, seconds apart; in the second everything is moved aside."""
    clip, folder = shared / "data" / "clips" / "lieu_60s_256.mp4", tmp_path_factory.mktemp("videos")
    first = list(VideoReader(clip, max_seconds=2.0))
    second = [np.roll(frame, MOVED_PX, axis=1) for frame in VideoReader(clip, start_s=20.0, max_seconds=1.6)]
    sounds = read_audio(clip, 0.0, 2.0)[0], read_audio(clip, 20.0, 1.6)[0]
    return write(folder / "a.mp4", first, sounds[0]), write(folder / "b.mp4", second, sounds[1])


@pytest.fixture(scope="module")
def subject(videos: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return prepare(videos, tmp_path_factory.mktemp("joined") / "subject", QUICK)


def test_the_subject_knows_its_videos(subject: Subject) -> None:
    again = Subject.open(subject.folder)
    assert [(one.name, one.first, one.num_frames) for one in videos_of(again)] == [("a.mp4", 0, 50), ("b.mp4", 50, 40)]
    assert joints_of(again) == (50,) and again.num_frames == 90
    assert again.labels == [
        EmotionSpan(start_s=0.0, end_s=2.0, label="happy", varies=True),
        EmotionSpan(start_s=2.0, end_s=3.6, label="sad", varies=True),
    ]
    assert again.source.name == "a.mp4, b.mp4"


def test_pictures_and_sound_follow_each_other(subject: Subject, videos: tuple[Path, Path]) -> None:
    assert (subject.width, subject.height) == (256, 256) and len(subject.audio()) == 90 * 640
    for start, path in ((0, videos[0]), (50, videos[1])):
        sound, picture = read_audio(path, 0.0, 1.6)[0], next(iter(VideoReader(path)))
        np.testing.assert_allclose(subject.audio()[start * 640 :][: len(sound)], sound, atol=1e-4)
        assert np.abs(subject.frame(start).astype(float) - picture).mean() < 2


def test_the_face_is_found_anew_after_a_joint(subject: Subject) -> None:
    """The second video's landmarks are those of that video alone, to the last bit."""
    with FaceMeshLandmarks(max_faces=1) as model:
        alone = [model.detect(subject.frame(i)) for i in range(50, 90)]
    np.testing.assert_array_equal(subject.track().landmarks[50:], np.array(alone))


def test_no_motion_is_seen_across_a_joint(subject: Subject) -> None:
    track = subject.track()
    step = np.linalg.norm(np.diff(track.landmarks[:, 168, :2], axis=0), axis=1)
    moved = track.head_points @ track.viewmats[:, :3, :3].transpose(0, 2, 1) + track.viewmats[:, None, :3, 3]
    pixels = moved[..., :2] / moved[..., 2:] * np.diag(track.K)[:2] + track.K[:2, 2]
    error = np.linalg.norm(pixels - track.landmarks[:, :468, :2], axis=-1).mean(1)
    assert step[49] > 3, "the head is elsewhere"
    assert error.max() < 2 and error[48:52].max() < 1.5 * np.median(error) + 0.2, "poses beside the joint fit as well"
    assert subject.facts("pose")["flow_error_px_at_512"] < 0.2


def test_a_finished_subject_is_kept_and_its_labels_may_change(
    subject: Subject, videos: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (subject.folder / "track.npz").stat().st_mtime_ns
    relabelled = PrepareConfig(video_labels=("angry", "sad"), parsing=QUICK.parsing)
    again = prepare(videos, subject.folder, relabelled)
    assert [span.label for span in again.labels] == ["angry", "sad"]
    assert (subject.folder / "track.npz").stat().st_mtime_ns == before
    prepare(videos, subject.folder, QUICK)


def test_nothing_is_bridged_or_steadied_across() -> None:
    values, valid = np.array([[0.0], [9.0], [9.0], [6.0]]), np.array([True, False, False, True])
    np.testing.assert_array_equal(bridge(values, valid, (2,))[:, 0], [0, 0, 6, 6])
    flicker = [np.full((2, 2), label, np.uint8) for label in (1, 0, 1, 1, 0, 1)]
    np.testing.assert_array_equal([int(f[0, 0]) for f in without_flicker(flicker)], [1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal([int(f[0, 0]) for f in without_flicker(flicker, (2,))], [1, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal([int(f[0, 0]) for f in without_flicker(flicker, (1, 4))], [1, 0, 1, 1, 0, 1])


def test_another_person_is_refused_by_name(
    subject: Subject, videos: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks, parts = subject.track().landmarks, [range(50), range(50, 90)]
    valid, reader = np.ones(90, bool), JoinedVideos(videos)
    stage_face._refuse_strangers(subject, parts, landmarks, valid, reader)
    monkeypatch.setattr(same_person, "ALIKE", 1.1)
    with pytest.raises(UserError, match=r"a\.mp4 seems to show another person than the other videos"):
        stage_face._refuse_strangers(subject, parts, landmarks, valid, reader)


def refused(videos: tuple[Path, ...], out: Path, match: str, config: PrepareConfig = QUICK) -> None:
    with pytest.raises(UserError, match=match):
        prepare(videos, out, config)
    assert not out.exists(), "nothing half-written"


def test_what_cannot_be_joined_is_named(videos: tuple[Path, Path], shared: Path, tmp_path: Path) -> None:
    first, out = videos[0], tmp_path / "out"
    frames = list(VideoReader(first))
    silent = write(tmp_path / "silent.mp4", frames, np.zeros(32000, np.float32))
    faceless = write(tmp_path / "faceless.mp4", [np.full_like(f, 90) for f in frames], np.ones(32000, np.float32) * 0.1)
    refused((first, faceless), out, r"faceless\.mp4: no face was found")
    refused((first, silent), out, r"silent\.mp4 is silent, but others are not")
    three = PrepareConfig(video_labels=("happy", "sad", "angry"))
    refused(videos, out, "3 emotion labels for 2 videos", three)
    refused((first,), out, "2 emotion labels for 1 video")
    table = tmp_path / "emotions.csv"
    table.write_text("start_s,end_s,label\n0,1,happy\n")
    refused(videos, out, "labels the times of one video, but there are 2", PrepareConfig(labels=table))
