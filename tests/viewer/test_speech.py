from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.viewer import speech as speech_module
from ua3dtalk.viewer.speech import inside, load_speech, load_upload, plain_name, silence


@pytest.fixture
def recording(tmp_path: Path, rng: np.random.Generator) -> Path:
    soundfile.write(tmp_path / "speech.wav", 0.1 * rng.normal(size=16000).clip(-1, 1), 16000)
    return tmp_path / "speech.wav"


def test_a_recording_is_read(recording: Path) -> None:
    speech = load_speech(recording, PhoneEncoder())
    assert (speech.name, speech.num_frames) == ("speech.wav", 25)


def test_silence_is_something_to_begin_with() -> None:
    speech = silence(PhoneEncoder())
    assert speech.name == "" and speech.num_frames == 250


def test_an_upload_is_read_and_nothing_is_left(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))
    speech = load_upload("../../etc/My talk.wav", recording.read_bytes(), PhoneEncoder())
    assert (speech.name, speech.num_frames) == ("My talk.wav", 25)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("page.html", b"<html>", "page.html is not a sound or video file by its name"),
        ("noise.wav", b"RIFF of nothing", "noise.wav has no sound that can be read"),
        ("empty.mp3", b"", "empty.mp3 has no sound that can be read"),
    ],
)
def test_uploads_of_another_kind_are_refused(name: str, content: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_upload(name, content, PhoneEncoder())


def test_uploads_that_are_too_large_or_too_long_are_refused(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_module, "MAX_UPLOAD_BYTES", 1000)
    with pytest.raises(UserError, match="speech.wav has 0 MiB, the viewer takes 0"):
        load_upload("speech.wav", recording.read_bytes(), PhoneEncoder())
    monkeypatch.setattr(speech_module, "MAX_SPEECH_S", 0.5)
    with pytest.raises(UserError, match="speech.wav lasts 1 s, the viewer takes 0 s"):
        load_speech(recording, PhoneEncoder())


def test_names_stay_inside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    (folder / "more").mkdir(parents=True)
    (folder / "more" / "a.wav").touch()
    (tmp_path / "secret.wav").touch()
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    assert inside(folder, " more/a.wav ") == (folder / "more" / "a.wav").resolve()
    assert inside(folder, "more/../more/a.wav").name == "a.wav"
    outside = [
        "../secret.wav",
        str(tmp_path / "secret.wav"),
        "link.wav",
        "more",
        "",
        ".",
        "no.wav",
        "a\0.wav",
        "x" * 5000,
    ]
    for typed in outside:
        with pytest.raises(UserError, match="There is no file"):
            inside(folder, typed)


def test_names_are_made_plain() -> None:
    assert plain_name("C:\\talks\\one.wav") == "one.wav"
    assert plain_name("<img src=x onerror='go()'>.mp3") == "img src=x onerror=go().mp3"
    assert plain_name("../..") == ".." and plain_name("") == "upload"
    assert len(plain_name("x" * 500 + ".wav")) <= 60
