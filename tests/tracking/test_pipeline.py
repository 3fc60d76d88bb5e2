"""``prepare`` on real clips: what it makes, that it resumes, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.video import VideoReader, VideoWriter
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking import stage_picture
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks, TaskLandmarks
from ua3dtalk.tracking.parsing import ParsingConfig
from ua3dtalk.tracking.pipeline import prepare
from ua3dtalk.tracking.prepare_config import PrepareConfig

QUICK = PrepareConfig(max_seconds=3.2, parsing=ParsingConfig(keyframes=8, rounds=1))


@pytest.fixture(scope="module")
def clip(shared: Path) -> Path:
    return shared / "data" / "clips" / "lieu_60s_256.mp4"


@pytest.fixture(scope="module")
def subject(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return prepare(clip, tmp_path_factory.mktemp("prepare") / "a subject", QUICK)


def write_clip(path: Path, frames: Iterator[np.ndarray]) -> Path:
    with VideoWriter(path, 25, (256, 256)) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_a_subject_is_whole(subject: Subject) -> None:
    assert (subject.num_frames, subject.width, subject.height) == (80, 256, 256)
    track = subject.track()
    assert track.num_frames == 80 and track.valid.all()
    assert len(subject.audio()) == 80 * 640 and subject.has_audio
    assert subject.facts("frames")["jpeg_psnr_db"] > 45
    pose = subject.facts("pose")
    # Measured on the whole clip: 1.28 px and 0.083 px, landmarks alone 0.55 px.
    assert pose["reprojection_px_at_512"] < 2
    assert pose["flow_error_px_at_512"] < 0.15 < pose["flow_error_landmarks_only_px_at_512"]


def test_projected_mesh_lies_on_the_face(subject: Subject) -> None:
    track = subject.track()
    camera = track.head_points @ track.viewmats[:, :3, :3].transpose(0, 2, 1) + track.viewmats[:, None, :3, 3]
    pixels = camera[..., :2] / camera[..., 2:] * np.diag(track.K)[:2] + track.K[:2, 2]
    error = np.linalg.norm(pixels - track.landmarks[:, :468, :2], axis=-1)
    assert error.mean() < 1.2, (
        "measured 0.48 px at 256², 0.54 px over the whole clip: what flow holds against landmarks"
    )
    assert track.head_points[:, 263, 0].mean() > 0.03, "the subject's left eye lies at positive x"
    assert track.mesh[10, 1] - track.mesh[152, 1] > 0.14, "up is up"


def test_masks_show_a_head_on_a_torso(subject: Subject) -> None:
    labels, landmarks = subject.parsing(40), subject.track().landmarks[40]
    head = np.isin(labels, [int(label) for label in HEAD_LABELS])
    assert 0.3 < head.mean() < 0.65
    assert set(np.unique(labels)) >= {int(label) for label in Label} - {int(Label.INNER_MOUTH)}
    assert not head[250:, :].any(), "no collar in the head"
    y, x = int(landmarks[10, 1]) - 22, int(landmarks[10, 0])
    assert labels[y, x] == Label.HAIR
    layer = subject.torso(40)
    assert layer[252, 128, 3] > 250 and layer[10, 128, 3] == 0


def test_lids_and_lips_are_seen(subject: Subject) -> None:
    track = subject.track()
    area = np.array([(subject.parsing(i) == Label.INNER_MOUTH).sum() for i in range(0, 80, 4)])
    assert np.corrcoef(area, track.opening[::4])[0, 1] > 0.8


def test_finished_stages_are_not_done_again(subject: Subject, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(stage_picture, "run_frames", never)
    monkeypatch.setattr(stage_picture, "run_parsing", never)
    assert prepare(clip, subject.folder, QUICK).num_frames == 80


def test_a_killed_run_goes_on_and_ends_the_same(
    subject: Subject, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "killed"
    real = stage_picture.write_picture

    def killed(path: Path, picture: np.ndarray) -> None:
        if path.parent.name == ".parsing.partial" and path.stem == "000030":
            raise KeyboardInterrupt
        real(path, picture)

    monkeypatch.setattr(stage_picture, "write_picture", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(clip, out, QUICK)
    assert not (out / "parsing").exists() and not (out / ".parsing.partial").exists()
    monkeypatch.setattr(stage_picture, "write_picture", real)
    again = prepare(clip, out, QUICK)
    for name in ("track.npz", "background.png", "parsing/000050.png", "torso/000050.png", "frames/000050.jpg"):
        assert (out / name).read_bytes() == (subject.folder / name).read_bytes(), name
    assert again.facts("pose") == subject.facts("pose")


def refused(video: Path, out: Path, match: str, config: PrepareConfig = QUICK) -> None:
    with pytest.raises(UserError, match=match):
        prepare(video, out, config)
    assert not out.exists(), "nothing half-written"


def test_no_face_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    noise = rng.integers(0, 255, (256, 256, 3), dtype=np.uint8)
    video = write_clip(tmp_path / "noise.mp4", (np.roll(noise, i, 1) for i in range(80)))
    refused(video, tmp_path / "out", "no face was found")


def test_too_short_is_refused(clip: Path, tmp_path: Path) -> None:
    refused(clip, tmp_path / "out", r"too short: 2\.0 s", PrepareConfig(max_seconds=2.0))


def test_a_face_lost_for_long_is_refused_and_listed(clip: Path, tmp_path: Path) -> None:
    frames = [f if not 30 <= i < 62 else np.zeros_like(f) for i, f in enumerate(VideoReader(clip, max_seconds=4.0))]
    video = write_clip(tmp_path / "lost.mp4", iter(frames))
    refused(video, tmp_path / "out", r"lost for long at 1\.\d–2\.\d s", PrepareConfig())


def test_sound_can_be_demanded(shared: Path, tmp_path: Path) -> None:
    clips = shared / "data" / "clips"
    demanding = PrepareConfig(max_seconds=3.2, require_audio=True, parsing=QUICK.parsing)
    refused(clips / "actor_happy_8s_256_noaudio.mp4", tmp_path / "out", "has no sound", demanding)
    refused(clips / "mead_sad_4s_256.mp4", tmp_path / "out", "silent", demanding)


def test_a_folder_of_something_else_is_left_alone(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty and not a subject"):
        prepare(clip, tmp_path, QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_task_model_agrees_with_facemesh(shared: Path, clip: Path, tmp_path: Path) -> None:
    frames = list(VideoReader(clip, max_seconds=0.4))
    with FaceMeshLandmarks() as mesh, TaskLandmarks(shared / "models" / "face_landmarker.task") as task:
        a, b = [mesh.detect(f) for f in frames], [task.detect(f) for f in frames]
    difference = np.linalg.norm(np.array(a)[..., :2] - np.array(b)[..., :2], axis=-1)
    assert difference.mean() < 3, "measured 1.4 px at 256²"
    wrong = tmp_path / "wrong.task"
    wrong.write_bytes(b"no model")
    with pytest.raises(UserError, match="not a face landmarker"):
        TaskLandmarks(wrong)
    with pytest.raises(UserError, match="does not exist"):
        TaskLandmarks(tmp_path / "none.task")
