"""The whole thread on a short synthetic actor, through the command line."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ua3dtalk.cli.main import main
from ua3dtalk.media.c2pa_manifest import read_manifest
from ua3dtalk.media.marks import read_mark
from ua3dtalk.media.ply import read_ply
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.subject.actor.generate import VIDEO_NAME


@pytest.fixture(scope="module")
def work(small_avatar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared avatar under names of our own, beside which results may be written."""
    root = tmp_path_factory.mktemp("thread")
    for source in small_avatar.iterdir():
        (root / source.name).symlink_to(source)
    return root


def test_speech_becomes_a_video_in_step(work: Path) -> None:
    out = work / "talk.mp4"
    arguments = ["synthesize", str(work / "avatar"), "--audio", str(work / "speech.wav"), "--out", str(out)]
    extras = ["--emotion", "happy", "--confidence", str(work / "map.mp4"), "--report", str(work / "run.json")]
    assert main(arguments + extras) == 0
    with av.open(str(out)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        pictures = sum(1 for _ in container.decode(video))
        assert "AI-generated" in container.metadata["comment"]
        video_s = float(video.duration * video.time_base)  # type: ignore[operator]
        audio_s = float(audio.duration * audio.time_base)  # type: ignore[operator]
    assert pictures == pytest.approx(soundfile.info(work / "speech.wav").duration * 25, abs=1)
    assert abs(video_s - audio_s) < 1 / 25
    for name in ("talk.mp4", "map.mp4") if find_spec("c2pa") else ():
        manifest = read_manifest(work / name)
        assert manifest is not None and manifest.intact and manifest.subject_sha256
    report = json.loads((work / "run.json").read_text())
    assert len(report["per_frame"]["expected_error"]) == pictures
    assert all(value is not None and value > 0 for value in report["per_frame"]["expected_error"])


def test_the_same_speech_gives_the_same_bytes(work: Path) -> None:
    names = ("first.mp4", "second.mp4")
    for name in names:
        arguments = ["synthesize", str(work / "avatar"), "--audio", str(work / "speech.wav"), "--out", str(work / name)]
        assert main([*arguments, "--blink", "generated", "--no-provenance"]) == 0  # signatures hold random numbers
    assert (work / names[0]).read_bytes() == (work / names[1]).read_bytes()


def test_evaluation_has_all_rows(work: Path) -> None:
    assert main(["evaluate", str(work / "avatar"), "--out", str(work / "report")]) == 0
    metrics = json.loads((work / "report" / "metrics.json").read_text())
    assert list(metrics["rows"]) == ["real", "static", "expression", "driven", "audio-only"]
    assert metrics["rows"]["real"]["regions"]["head"]["psnr_db"]["mean"] > 35
    assert (work / "report" / "index.html").exists() and (work / "report" / "side_by_side.mp4").exists()


def test_a_frame_is_exported(work: Path) -> None:
    out = work / "head.ply"
    assert main(["export", str(work / "avatar"), "--out", str(out), "--frame", "5"]) == 0
    splats = read_ply(out)
    index = json.loads((work / "avatar" / "avatar.json").read_text())
    assert len(splats.means) == sum(index["gaussians"].values())
    assert np.abs(splats.means).max() < 0.5
    assert main(["export", str(work / "avatar"), "--out", str(out), "--frame", "4", "--count", "2"]) == 0
    assert (work / "head_00005.ply").read_bytes() == out.read_bytes()
    assert np.abs(read_ply(work / "head_00004.ply").means - splats.means).max() > 0
    assert read_mark(out).subject_sha256 == index["subject_sha256"]


def test_verify_tells_marked_files_from_others(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mark that is left out is logged even where the command is to be quiet."""
    out = work / "bare.ply"
    assert main(["export", str(work / "avatar"), "--out", str(out), "--no-provenance", "--quiet"]) == 0
    assert "--no-provenance" in capsys.readouterr().err
    assert main(["verify", str(out)]) == 1
    assert "says nothing about its making" in capsys.readouterr().out
    assert main(["export", str(work / "avatar"), "--out", str(out)]) == 0
    assert "--no-provenance" not in capsys.readouterr().err
    assert main(["verify", str(out)]) == 0
    assert "subject sha256" in capsys.readouterr().out


def test_an_avatar_is_not_overwritten(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(work / "subject"), "--out", str(work / "avatar"), "--max-steps", "40"]) == 2
    assert "already holds an avatar" in capsys.readouterr().err


def test_silent_speech_is_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(work / "silent.wav", np.zeros(32000, np.float32), 16000)
    out = work / "silent.mp4"
    assert main(["synthesize", str(work / "avatar"), "--audio", str(work / "silent.wav"), "--out", str(out)]) == 2
    assert "is silent" in capsys.readouterr().err
    assert not out.exists()


def test_an_altered_avatar_is_refused(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    avatar = tmp_path / "avatar"
    shutil.copytree(work / "avatar", avatar)
    path = avatar / "face.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\x01\x02\x03\x04")
    out = tmp_path / "talk.mp4"
    assert main(["synthesize", str(avatar), "--audio", str(work / "speech.wav"), "--out", str(out)]) == 2
    assert "face.safetensors was altered" in capsys.readouterr().err
    assert not out.exists()


def test_a_video_without_sound_is_prepared_but_not_trained_on(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with av.open(str(work / "actor" / VIDEO_NAME)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][:100]
    mute = tmp_path / "mute.mp4"
    with VideoWriter(mute, 25.0, (128, 128)) as writer:
        for picture in pictures:
            writer.write(picture)
    assert main(["prepare", str(mute), "--out", str(tmp_path / "subject"), "--i-have-consent"]) == 0
    assert main(["train", str(tmp_path / "subject"), "--out", str(tmp_path / "avatar")]) == 2
    assert "has no speech to learn from" in capsys.readouterr().err
    assert not (tmp_path / "avatar").exists()
