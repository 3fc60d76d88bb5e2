"""Whether the person agreed: asked once at a terminal, said by a flag elsewhere, refused else; and remembered."""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ua3dtalk
from ua3dtalk.cli.consent import asking
from ua3dtalk.cli.main import main
from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.consent import Consent, consent_now, synthetic
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.tracking.pipeline import run_stages

SOURCE = SourceFacts(name="me.mp4", sha256="0" * 64, num_frames=0, width=0, height=0)


@contextmanager
def terminal(answer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A terminal on which somebody has typed an answer; the function waits until a text stands on its screen."""
    keyboard, device = os.openpty()
    with os.fdopen(device, "r+b", buffering=0) as raw, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", os.fdopen(os.dup(raw.fileno()), "r"))
        patch.setattr(sys, "stderr", os.fdopen(os.dup(raw.fileno()), "w"))
        os.write(keyboard, answer.encode())
        yield lambda text: _read_until(keyboard, text)
        sys.stdin.close()
        sys.stderr.close()
    os.close(keyboard)


def _read_until(keyboard: int, text: str) -> None:
    """The screen comes in parts: what was typed is echoed before what was asked."""
    seen = b""
    while text.encode() not in seen:
        assert select.select([keyboard], [], [], 10)[0], f"{text!r} is not in {seen!r}"
        seen += os.read(keyboard, 10_000)


@pytest.mark.parametrize("answer", ["yes\n", " YES \n"])
def test_a_terminal_is_asked(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(answer, monkeypatch) as screen:
        consent = asking("me.mp4", agreed=False)()
        screen("Did the person in me.mp4 agree? Type yes:")
    assert (consent.how, consent.version) == ("typed", ua3dtalk.__version__)
    assert consent.at.endswith("+00:00")


@pytest.mark.parametrize("answer", ["no\n", "y\n", "\n", "\x04"])
def test_any_other_answer_refuses(answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with terminal(answer, monkeypatch), pytest.raises(UserError, match="me.mp4 is not prepared"):
        run_stages(tmp_path / "me", SOURCE, [], asking("me.mp4", agreed=False))
    assert os.listdir(tmp_path) == []


def test_the_flag_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal("", monkeypatch):  # where reading would wait for ever
        assert asking("me.mp4", agreed=True)().how == "flag"


def test_without_a_terminal_the_flag_is_named(
    small_avatar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, out = small_avatar / "actor" / "actor.mp4", tmp_path / "me"
    assert main(["prepare", str(video), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert "person who agreed" in said and "--i-have-consent" in said and len(said.splitlines()) == 1
    with pytest.raises(ua3dtalk.UserError, match="i_have_consent=True"):
        ua3dtalk.prepare(video, out)
    assert os.listdir(tmp_path) == []


def refuse() -> Consent:
    raise UserError("asked")


def test_it_is_asked_once_for_each_person(tmp_path: Path) -> None:
    for _ in range(2):  # a folder of another video is another person
        with pytest.raises(UserError, match="asked"):
            run_stages(tmp_path / "me", SOURCE, [], refuse)
        subject = Subject.create(tmp_path / "me", SOURCE, given := consent_now("typed"))
        subject = Subject.resume(tmp_path / "me")
        assert subject.consent == given
        with pytest.raises(UserError, match="not fully prepared"):
            run_stages(tmp_path / "me", SOURCE, [], refuse)
        assert Subject.resume(tmp_path / "me").consent == given
        subject.source = SourceFacts(name="you.mp4", sha256="1" * 64, num_frames=0, width=0, height=0)
        subject.set_consent(given)


def test_subjects_of_older_versions_load_and_are_asked(small_avatar: Path, tmp_path: Path) -> None:
    me = Path(shutil.copytree(small_avatar / "subject", tmp_path / "me"))
    index = me / "subject.json"
    plain = json.loads(index.read_text())
    assert plain.pop("consent")["how"] == "flag"
    index.write_text(json.dumps(plain))
    assert Subject.open(me).consent is None
    video, labels = small_avatar / "actor" / "actor.mp4", small_avatar / "actor" / "emotion.csv"
    with pytest.raises(UserError, match="i_have_consent"):
        ua3dtalk.prepare(video, me, labels=labels)
    assert ua3dtalk.prepare(video, me, labels=labels, i_have_consent=True)["consent"]["how"] == "flag"
    again = ua3dtalk.prepare(video, me, labels=labels)
    assert again["consent"]["version"] == ua3dtalk.__version__
    index.write_text(json.dumps({**json.loads(index.read_text()), "consent": {"how": "guessed"}}))
    with pytest.raises(UserError, match="consent"):
        Subject.open(me)


def test_it_is_shown(small_avatar: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, labels = small_avatar / "actor" / "actor.mp4", str(small_avatar / "actor" / "emotion.csv")
    assert main(["prepare", str(video), "--out", str(small_avatar / "subject"), "--labels", labels]) == 0
    assert "The person agreed to an avatar: given by --i-have-consent, 20" in capsys.readouterr().out
    assert "synthetic" in synthetic().sentence()
