"""Files that would run a command if anything unpickled them: every reader refuses them, and nothing runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from beartype.roar import BeartypeException

from ua3dtalk.avatar.familiarity import Familiarity
from ua3dtalk.avatar.storage import load_avatar, load_poses
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.evaluation.weights import load_weights
from ua3dtalk.media.marks import read_mark
from ua3dtalk.media.video import VideoReader, VideoWriter
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.recipes.content_clips import find_landmarks
from ua3dtalk.recipes.presets import quick
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.actor.truth import ActorTruth
from ua3dtalk.subject.store import Subject
from ua3dtalk.subject.track_data import TrackData
from ua3dtalk.tracking.stage_io import load_arrays
from ua3dtalk.training.checkpoint import load_state

_unpickled: list[str] = []
sys.addaudithook(lambda event, args: _unpickled.append(str(args)) if event == "pickle.find_class" else None)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (self._folder,)


def pickled(bomb: Bomb) -> bytes:
    return pickle.dumps(bomb)


def pytorch(bomb: Bomb) -> bytes:
    """What ``torch.save`` writes: ``.pt``, ``.pth``, ``.ckpt``."""
    out = io.BytesIO()
    torch.save({"state": bomb, "viewmats": torch.eye(4)}, out)
    return out.getvalue()


def array(bomb: Bomb) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([bomb], object), allow_pickle=True)
    return out.getvalue()


NAMES = ("phones", "mel", "voice", "encoder", "rate_hz", "viewmats", "landmarks", "mesh", "K", "expressions", "a")


def archive(bomb: Bomb) -> bytes:
    """Object arrays under the names that readers ask for."""
    out = io.BytesIO()
    np.savez(out, **{name: np.array([bomb], object) for name in NAMES})
    return out.getvalue()


def archive_of_pickles(bomb: Bomb) -> bytes:
    """A zip whose members are no arrays at all."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in NAMES:
            made.writestr(f"{name}.npy", pickle.dumps(bomb))
    return out.getvalue()


FORMS = (pickled, pytorch, array, archive, archive_of_pickles)


@pytest.fixture(scope="module")
def fuzz(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("benchmarks/fuzz.py")


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def bomb(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The content of one hostile file; afterwards nothing may have been unpickled, let alone run."""
    before = len(_unpickled)
    yield request.param(Bomb(tmp_path / "ran"))
    assert _unpickled[before:] == [] and not (tmp_path / "ran").exists()


def test_the_files_are_dangerous(tmp_path: Path) -> None:
    """Else this module would show nothing."""
    ways = [
        (pickled, lambda data: pickle.loads(data)),
        (pytorch, lambda data: torch.load(io.BytesIO(data), weights_only=False)),
        (array, lambda data: np.load(io.BytesIO(data), allow_pickle=True)),
        (archive, lambda data: np.load(io.BytesIO(data), allow_pickle=True)["phones"]),
    ]
    for form, load in ways:
        before = len(_unpickled)
        load(form(Bomb(tmp_path / form.__name__)))
        assert (tmp_path / form.__name__).is_dir() and len(_unpickled) > before


def test_every_reader_of_files_refuses_it(bomb: bytes, fuzz: ModuleType, tmp_path: Path) -> None:
    """All that ``benchmarks/fuzz.py`` damages."""
    for reader in fuzz.READERS.values():
        for seed in reader.seeds:
            path = tmp_path / "given" / (reader.place or seed)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bomb)
            with pytest.raises(UserError):
                reader.read(path)
            shutil.rmtree(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "track.npz": TrackData.load,
    "truth.npz": ActorTruth.load,
    "weights.safetensors": load_weights,
    "weights.pt": load_weights,
    "content.safetensors": ContentPrior.load,
    "state.safetensors": lambda path: load_state(path, quick(), "0" * 64),
    "talk.mp4": read_mark,
    "head.ply": read_mark,
}


@pytest.mark.parametrize("name", READERS)
def test_what_else_is_read_refuses_it(name: str, bomb: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bomb)
    with pytest.raises(UserError, match=name):
        READERS[name](tmp_path / name)


def test_files_between_stages_are_not_run(bomb: bytes, tmp_path: Path) -> None:
    """Only we write them, so that they need no sentence."""
    (tmp_path / "pose.npz").write_bytes(bomb)
    (tmp_path / "clip.npy").write_bytes(bomb)
    with VideoWriter(tmp_path / "clip.mp4", 25, (16, 16)) as video:
        video.write(np.zeros((16, 16, 3), np.uint8))
    for read in (
        lambda: sum(len(value) for value in load_arrays(tmp_path / "pose.npz").values()),
        lambda: find_landmarks(VideoReader(tmp_path / "clip.mp4"), tmp_path),
    ):
        with suppress(ValueError, TypeError, BeartypeException):
            read()


def test_a_subject_with_hostile_arrays_is_not_read(bomb: bytes, small_avatar: Path, tmp_path: Path) -> None:
    """Also where its index has the right hash of them."""
    folder = Path(shutil.copytree(small_avatar / "subject", tmp_path / "subject"))
    index = json.loads((folder / "subject.json").read_text())
    for name in ("track.npz", "speech.npz"):
        (folder / name).write_bytes(bomb)
        for stage in index["stages"].values():
            if name in stage["files"]:
                stage["files"][name] = {"bytes": len(bomb), "sha256": file_sha256(folder / name)}
    (folder / "subject.json").write_text(json.dumps(index))
    subject = Subject.open(folder)
    with pytest.raises(UserError, match=r"track\.npz cannot be read"):
        subject.track()
    with pytest.raises(UserError, match=r"speech\.npz"):
        subject.speech()


def test_an_avatar_with_hostile_tensors_is_not_loaded(bomb: bytes, small_avatar: Path, tmp_path: Path) -> None:
    avatar = Path(shutil.copytree(small_avatar / "avatar", tmp_path / "avatar"))
    cpu = torch.device("cpu")
    names = sorted(str(path.relative_to(avatar)) for path in avatar.rglob("*.safetensors"))
    assert len(names) >= 6
    for name in names:
        whole = (avatar / name).read_bytes()
        (avatar / name).write_bytes(bomb)
        with pytest.raises(UserError, match=f"{Path(name).name} cannot be read as safetensors"):
            load_poses(avatar)
            Familiarity.find(avatar, ContentPrior.load())
            load_avatar(avatar, make_rasterizer(cpu), cpu)
        (avatar / name).write_bytes(whole)
