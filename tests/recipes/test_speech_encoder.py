"""A speech model on its whole way, through the command line: content prior, subject, avatar, speech."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_model import save_tiny

from ua3dtalk.cli.main import main
from ua3dtalk.priors.pipeline import PriorsConfig, fit_priors
from ua3dtalk.priors.style import StyleConfig
from ua3dtalk.subject.actor.generate import EMOTION_NAME, VIDEO_NAME
from ua3dtalk.subject.store import Subject


@pytest.fixture(scope="module")
def place(small_avatar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, a content prior that hears with it, a subject, and an avatar with their priors."""
    root = tmp_path_factory.mktemp("encoder")
    model = save_tiny(root / "model")
    shutil.copytree(small_avatar / "subject", root / "subject")
    people = [f"{name}={root / 'subject'}" for name in ("anna", "ben", "carl")]
    prior = root / "content.safetensors"
    assert main(["priors", "train-content", *people, "--out", str(prior), "--speech-encoder", f"{model}:2"]) == 0
    assert prepare(small_avatar, root, "--speech-encoder", f"{model}:2", "--content-prior", str(prior)) == 0
    prior.unlink()  # the subject keeps its own
    fit_priors(Subject.open(root / "subject"), PriorsConfig(folds=2, style=StyleConfig(steps=4, batch=2)))
    shutil.copytree(small_avatar / "avatar", root / "avatar")
    shutil.copyfile(root / "subject" / "priors.safetensors", root / "avatar" / "priors.safetensors")
    return root


def prepare(small_avatar: Path, root: Path, *options: str) -> int:
    """Only the speech stage is new."""
    actor = small_avatar / "actor"
    labels = ["--labels", str(actor / EMOTION_NAME), "--i-have-consent"]
    return main(["prepare", str(actor / VIDEO_NAME), "--out", str(root / "subject"), *labels, *options])


def speak(small_avatar: Path, root: Path, *options: str) -> int:
    out = root / "talk.mp4"
    out.unlink(missing_ok=True)
    speech = ["--audio", str(small_avatar / "speech.wav"), "--out", str(out)]
    code = main(["synthesize", str(root / "avatar"), *speech, *options])
    assert out.exists() == (code == 0)
    return code


def test_subject_and_avatar_know_the_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech = Subject.open(place / "subject").speech()
    assert "+wav2vec2-layer2:" in speech.encoder and speech.model == str((place / "model").resolve())
    assert main(["priors", "show", str(place / "avatar"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["priors"][0]
    assert row["trained_on"] == speech.encoder and "32 hidden values" in row["figures"]


def test_speech_finds_the_model_or_says_what_to_do(
    place: Path, small_avatar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speak(small_avatar, place) == 0
    (place / "model").rename(place / "moved")
    try:
        assert speak(small_avatar, place) == 2
        assert "name its new place with --speech-encoder" in capsys.readouterr().err
        assert speak(small_avatar, place, "--speech-encoder", str(place / "moved")) == 0  # of the same layer
        other = save_tiny(tmp_path / "other", seed=1)
        assert speak(small_avatar, place, "--speech-encoder", str(other)) == 2
        assert "was trained with the speech encoder" in capsys.readouterr().err
    finally:
        (place / "moved").rename(place / "model")


def test_a_choice_that_does_not_fit_is_said_before_the_work(
    place: Path, small_avatar: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (place / "subject" / "subject.json").read_bytes()
    assert prepare(small_avatar, place, "--speech-encoder", str(place / "model")) == 2
    assert "--content-prior that belong together" in capsys.readouterr().err
    mine = str(place / "subject" / "content.safetensors")
    assert prepare(small_avatar, place, "--speech-encoder", f"{place / 'model'}:3", "--content-prior", mine) == 2
    assert "but the sound is heard with" in capsys.readouterr().err
    assert (place / "subject" / "subject.json").read_bytes() == before
