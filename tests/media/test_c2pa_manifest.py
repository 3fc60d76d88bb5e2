"""Signed videos: the signature holds, notices changes, asks nobody elsewhere, and its key is private."""

from __future__ import annotations

import json
import os
import random
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ua3dtalk.cli.main import main
from ua3dtalk.core.errors import UserError
from ua3dtalk.media import c2pa_manifest
from ua3dtalk.media.c2pa_manifest import SUBJECT_LABEL, Manifest, read_manifest, sign_video
from ua3dtalk.media.certificate import FILE, FOLDER_VARIABLE, own_identity
from ua3dtalk.media.marks import read_mark
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.synthesis.write import DIGITAL_SOURCE_TYPE, video_tags

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not installed: pip install 'ua3dtalk[provenance]'")
SHA = "ab" * 32


def film(path: Path) -> Path:
    rng = np.random.default_rng(0)
    sound = np.sin(np.arange(3200) / 9).astype(np.float32) / 2
    with VideoWriter(path, 25, (64, 48), sound, 16000, video_tags(SHA)) as out:
        for _ in range(5):
            out.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    return path


def streams(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux()]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of settings that does not exist yet."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "settings"))
    return tmp_path / "settings"


@pytest.fixture
def signed(tmp_path: Path, config: Path) -> Path:
    path = film(tmp_path / "talk.mp4")
    assert sign_video(path, DIGITAL_SOURCE_TYPE, SHA)
    return path


def test_a_signed_video_says_what_it_is(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = read_manifest(signed)
    assert manifest is not None and manifest.intact is True and manifest.problems == ()
    assert manifest.ai_generated and manifest.source_type == DIGITAL_SOURCE_TYPE
    assert manifest.subject_sha256 == SHA and manifest.generator.startswith("UA-3DTalk ")
    assert main(["verify", str(signed)]) == 0
    assert "signature holds" in capsys.readouterr().out
    assert main(["verify", str(signed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["c2pa"]["intact"] is True


def test_pictures_sound_and_tags_stay(signed: Path, tmp_path: Path) -> None:
    bare = film(tmp_path / "bare.mp4")
    assert streams(signed) == streams(bare) and read_mark(signed) == read_mark(bare)
    assert read_manifest(bare) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.mp4", "settings", "talk.mp4"]


@pytest.mark.parametrize("where", ["pictures", "claim", "end"])
def test_a_change_is_noticed(where: str, signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(signed.read_bytes())
    at = {"pictures": data.rindex(b"mdat") + 200, "claim": data.index(b"compositeWith"), "end": len(data) - 9}[where]
    data[at] ^= 1
    signed.write_bytes(data)
    manifest = read_manifest(signed)
    assert manifest is not None and manifest.intact is False and manifest.problems
    assert main(["verify", str(signed)]) == 1
    assert "signature does not hold" in capsys.readouterr().out


def test_the_key_is_private_and_made_once(config: Path, tmp_path: Path) -> None:
    first = own_identity()
    assert stat.S_IMODE((config / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    assert own_identity() == first and os.listdir(config) == [FILE]
    assert "PRIVATE" not in first.chain
    (config / FILE).write_text(first.key)
    with pytest.raises(UserError, match="is damaged"):
        own_identity()


def test_where_it_cannot_be_signed_the_video_stays_and_it_is_logged(
    config: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "talk.mp4")
    whole = path.read_bytes()
    config.write_text("a file where the folder should be")
    assert not sign_video(path, DIGITAL_SOURCE_TYPE, SHA)
    assert "talk.mp4 has no C2PA signature" in caplog.text and path.read_bytes() == whole
    path.write_bytes(b"no video")
    config.unlink()
    assert not sign_video(path, DIGITAL_SOURCE_TYPE, SHA) and path.read_bytes() == b"no video"
    assert sorted(os.listdir(tmp_path)) == ["settings", "talk.mp4"]


def test_without_the_library_a_signature_is_seen_but_not_judged(
    signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = film(tmp_path / "bare.mp4")
    monkeypatch.setattr(c2pa_manifest, "_library", lambda: None)
    assert read_manifest(signed) == Manifest(intact=None) and read_manifest(bare) is None
    assert not sign_video(bare, DIGITAL_SOURCE_TYPE, SHA)
    assert main(["verify", str(signed)]) == 0
    assert "not checked: pip install 'ua3dtalk[provenance]'" in capsys.readouterr().out


@contextmanager
def listening(visits: list[Any]) -> Iterator[int]:
    """A port whose visitors are noted and sent away."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def note() -> None:
            with suppress(OSError):
                while True:
                    visitor, address = server.accept()
                    visits.append(address)
                    visitor.close()

        threading.Thread(target=note, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_an_address_in_a_file_is_not_visited(tmp_path: Path, config: Path) -> None:
    path, away, visits = film(tmp_path / "talk.mp4"), tmp_path / "away.mp4", []
    identity = own_identity()
    info = c2pa.C2paSignerInfo("es256", identity.chain.encode(), identity.key.encode(), None)
    claim = c2pa_manifest._claim("x", DIGITAL_SOURCE_TYPE, SHA)
    with listening(visits) as port, c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(claim)) as builder:
        builder.set_remote_url(f"http://127.0.0.1:{port}/manifest")
        builder.set_no_embed()
        with path.open("rb") as source, away.open("w+b") as target:
            builder.sign(signer, "video/mp4", source, target)
        assert b"http://127.0.0.1" in away.read_bytes()
        with suppress(UserError):
            read_manifest(away)
        assert not visits
        with suppress(c2pa.C2paError):
            c2pa.Reader(away)
        assert visits, "the library would visit it"


def test_damaged_manifests_are_a_result_or_a_sentence(signed: Path, tmp_path: Path) -> None:
    whole, draw = signed.read_bytes(), random.Random(0)
    begin = whole.index(c2pa_manifest.BOX)
    intact = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 4))):
            at = draw.randrange(begin - 8, begin + 4000)
            data[at : at + draw.choice((0, 1, 1, 8))] = draw.randbytes(draw.choice((1, 1, 8)))
        (tmp_path / "odd.mp4").write_bytes(data)
        try:
            manifest = read_manifest(tmp_path / "odd.mp4")
            intact += manifest is not None and manifest.intact is True
        except UserError as error:
            assert len(str(error)) < 1000
    assert intact < 15, "what is random in it is part of the signature"


def test_a_claim_of_an_odd_form_is_a_sentence() -> None:
    assert SUBJECT_LABEL not in json.dumps(c2pa_manifest._claim("x", DIGITAL_SOURCE_TYPE, None))
    odd = {"active_manifest": "a", "manifests": {"a": {"assertions": [{"label": "c2pa.actions", "data": []}]}}}
    with pytest.raises(c2pa_manifest._ODD):
        c2pa_manifest._said(odd)
