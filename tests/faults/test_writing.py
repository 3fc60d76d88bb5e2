"""Writers that are killed or run out of disk: what stands under its name is whole. The long version, with every stage
of the product, is ``benchmarks/faults.py``.
"""

from __future__ import annotations

import errno
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import read_json, write_json
from ua3dtalk.media.audio import read_audio, write_flac
from ua3dtalk.media.ply import PlySplats, read_ply, write_ply
from ua3dtalk.media.video import VideoReader, VideoWriter
from ua3dtalk.priors.phone_posteriors import phone_posteriors
from ua3dtalk.tracking.stage_io import atomic_folder, write_picture

N = 4000


def write_video(path: Path) -> None:
    with VideoWriter(path, 25, (64, 64)) as out:
        for i in range(10):
            out.write(np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8))


def write_splats(path: Path) -> None:
    threes, fours = np.ones((N, 3), np.float32), np.ones((N, 4), np.float32)
    splats = PlySplats(
        means=threes,
        quats_wxyz=fours,
        log_scales=threes,
        opacity_logits=threes[:, 0],
        sh=np.ones((N, 4, 3), np.float32),
    )
    write_ply(path, splats)


def write_folder(path: Path) -> None:
    with atomic_folder(path) as folder:
        for i in range(20):
            write_picture(folder / f"{i}.png", np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8))


def whole_folder(path: Path) -> None:
    assert len(list(path.iterdir())) == 20


WRITERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "a.json": (lambda p: write_json(p, list(range(N))), lambda p: read_json(p)[N - 1]),
    "a.safetensors": (
        lambda p: save_tensors(p, {"a": torch.ones(40 * N)}, kind="k", header={}),
        lambda p: load_tensors(p, kind="k"),
    ),
    "a.flac": (lambda p: write_flac(p, np.random.default_rng(0).random(8 * N, np.float32) - 0.5), read_audio),
    "a.mp4": (write_video, lambda p: list(VideoReader(p))[9]),
    "a.ply": (write_splats, read_ply),
    "frames": (write_folder, whole_folder),
}


@pytest.fixture(scope="module")
def faults(program: Callable[[str], ModuleType]) -> ModuleType:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("filters of system calls are Linux's")
    return program("benchmarks/faults.py")


def in_child(task: Callable[[], None]) -> int:
    """Begin in a child; its number. It leaves with 0 done, 3 an error of the system or the user's, 1 anything else."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        task()
        code = 0
    except (UserError, OSError):
        code = 3
    finally:
        os._exit(code)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", list(WRITERS))
def test_killed_while_writing(name: str, how: signal.Signals, tmp_path: Path) -> None:
    write, read = WRITERS[name]
    path = tmp_path / name

    def forever() -> None:
        while True:
            write(path)

    draw = np.random.default_rng(list(WRITERS).index(name))
    for _ in range(4):
        child = in_child(forever)
        time.sleep(float(draw.uniform(0.01, 0.08)))
        os.kill(child, how)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -how
        if path.exists():
            read(path)
        shown = [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")]
        assert shown in ([], [name])
    write(path)
    read(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "frames"])
def test_no_room_while_writing(name: str, share: float, tmp_path: Path) -> None:
    """The system refuses to write on, as it does on a full disk: an error, nothing left, the old file untouched."""
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path)
    before = path.read_bytes()
    limit = int(share * len(before))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        write(path)

    child = in_child(limited)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert os.listdir(tmp_path) == [name]
    assert path.read_bytes() == before
    read(path)


def test_a_full_disk_is_called_one(tmp_path: Path) -> None:
    """safetensors wraps the system's error; the command line must still know it."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            save_tensors(tmp_path / "a.safetensors", {"a": torch.ones(N)}, kind="k", header={})
        except OSError as error:
            os._exit(7 if error.errno == errno.EFBIG and error.filename else 8)

    child = in_child(limited)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize("name", list(WRITERS))
def test_the_disk_is_full(name: str, faults: ModuleType, tmp_path: Path) -> None:
    """Every write is answered with ENOSPC, those of libraries in C and Rust too."""
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path)

    def full() -> None:
        faults.break_system("full disk")
        write(path)

    child = in_child(full)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert os.listdir(tmp_path) == [name]
    read(path)


@pytest.mark.parametrize("name", ["a.json", "a.flac", "a.mp4", "a.ply"])  # tensors are mapped into memory, not read
def test_the_disk_cannot_be_read(name: str, faults: ModuleType, tmp_path: Path) -> None:
    """Every read is answered with EIO: an error of the user's or the system's, nothing else, and the file stays."""
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path)
    before = path.read_bytes()

    def broken() -> None:
        faults.break_system("read error")
        read(path)

    child = in_child(broken)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert path.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be asked for")
@pytest.mark.parametrize("lost", [1, 10254])
def test_a_log_of_the_speech_encoder_cut_short_is_a_full_disk(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library does not look whether it could write; a log cut between records would pass for shorter speech."""
    real = Path.read_bytes

    def cut(path: Path) -> bytes:
        raw = real(path)
        return raw[: -4 * 10254 - lost] if path.suffix == ".sen" else raw

    monkeypatch.setattr(Path, "read_bytes", cut)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)
    with pytest.raises(OSError, match="No space left"):
        phone_posteriors(noise, 0.1, 101)


def test_no_room_for_the_speech_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library in C dies where it cannot write; the benchmark found that."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        phone_posteriors(noise, 0.1, 100)

    child = in_child(limited)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert os.listdir(tmp_path) == []
