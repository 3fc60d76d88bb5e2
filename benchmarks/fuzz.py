"""Damaged files of every kind that is read: a sentence for the user, or a result; never anything else.

    python benchmarks/fuzz.py [--inputs 20000] [--seed 0] [--keep FOLDER] [--json]

Small whole files (video, sound, pictures, tables, JSON, PLY, tensors) are damaged in many ways and given to the very
functions that the commands read with. A child process does the reading, with a limit on memory; its parent watches the
time. What counts as a fault: an exception that is no `UserError`, a crash of the process, more than `HANG_S` of the
processor for one input, more than `MEMORY` on top of what the process held. ``--keep`` stores the inputs that did it.

Most inputs are small files for quick readers; the result says how many each reader got.
"""

from __future__ import annotations

import argparse
import io
import json
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT"}

import av
import cv2
import numpy as np
import soundfile
import torch

from ua3dtalk.avatar.storage import read_index
from ua3dtalk.cli.recordings import read_recordings
from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import read_json
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.ply import PlySplats, read_ply, write_ply
from ua3dtalk.media.video import VideoReader, VideoWriter
from ua3dtalk.recipes.presets import preset
from ua3dtalk.subject.frames import read_grey, read_picture
from ua3dtalk.subject.labels import read_emotion_csv
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.synthesis.pose import read_poses
from ua3dtalk.synthesis.timeline import read_timeline, timeline_track
from ua3dtalk.tracking.imported.action_units import read_action_units
from ua3dtalk.tracking.imported.layout import read_layout
from ua3dtalk.training.config import TrainConfig

HANG_S = 20.0
MEMORY = 1 << 30
FRAMES_AT_MOST = 3000
"""A damaged time stamp may promise hours: a reader streams, so that the benchmark stops after two minutes of frames."""


@dataclass(frozen=True)
class Reader:
    """What reads one kind of file."""

    read: Callable[[Path], object]
    seeds: tuple[str, ...]
    """Names of whole files to damage."""
    text: bool = False
    """Damage words rather than bytes, half of the time."""
    share: float = 1.0
    """How often it is chosen, relative to others."""
    place: str = ""
    """Name that the damaged file gets; empty takes the seed's."""


def _frames(path: Path) -> None:
    for i, _ in enumerate(VideoReader(path)):
        if i >= FRAMES_AT_MOST:
            return


def _config(path: Path) -> None:
    from_plain(TrainConfig, read_json(path), path.name)


def _timeline(path: Path) -> None:
    timeline_track(read_timeline(path, ("neutral", "happy", "sad"), 10.0), 250)


def _subject(path: Path) -> None:
    subject = Subject.open(path.parent, ())
    for stage in ("frames", "audio"):
        subject.stage_done(stage, {"a": 1})


READERS: dict[str, Reader] = {
    "tensors": Reader(lambda p: load_tensors(p, kind="fuzz"), ("a.safetensors",)),
    "ply": Reader(read_ply, ("a.ply",), text=True),
    "json": Reader(read_json, ("subject.json", "config.json"), text=True),
    "subject": Reader(_subject, ("subject.json",), text=True, place="subject.json"),
    "avatar index": Reader(lambda p: read_index(p.parent), ("avatar.json",), text=True, place="avatar.json"),
    "configuration": Reader(_config, ("config.json",), text=True),
    "imported list": Reader(
        lambda p: read_layout(p.parent), ("transforms_train.json",), text=True, place="transforms_train.json"
    ),
    "timeline": Reader(_timeline, ("time.csv", "spans.csv"), text=True),
    "emotions": Reader(read_emotion_csv, ("spans.csv",), text=True),
    "recordings": Reader(read_recordings, ("recordings.csv",), text=True),
    "action units": Reader(lambda p: read_action_units(p, 3), ("au.csv",), text=True),
    "speech features": Reader(SpeechFeatures.load, ("speech.npz",)),
    "poses": Reader(read_poses, ("poses.npz",)),
    "picture": Reader(lambda p: (read_picture(p, 3), read_grey(p)), ("a.jpg", "a.png")),
    "sound": Reader(read_audio, ("a.wav", "a.flac", "float.wav", "a.ogg", "a.mp4")),
    "video": Reader(_frames, ("a.mp4", "a.mkv", "a.avi"), share=0.35),
}


def make_seeds(folder: Path) -> None:
    """Whole files, as small as they may be."""
    rng = np.random.default_rng(0)
    sound = (0.3 * np.sin(np.arange(8000) / 9)).astype(np.float32)
    for name, kind in (("a.wav", "PCM_16"), ("float.wav", "FLOAT"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS")):
        soundfile.write(folder / name, sound, 16000, subtype=kind)
    picture = rng.integers(0, 255, (6, 8, 3), np.uint8)
    cv2.imwrite(str(folder / "a.jpg"), picture)
    cv2.imwrite(str(folder / "a.png"), picture)
    with VideoWriter(folder / "a.mp4", 25, (48, 32), sound) as out:
        for i in range(8):
            out.write(np.full((32, 48, 3), 20 * i, np.uint8))
    for name, codec in (("a.mkv", "libx264"), ("a.avi", "mpeg4")):
        _plain_video(folder / name, codec)
    ones = np.ones((4, 3), np.float32)
    splats = PlySplats(
        means=ones,
        quats_wxyz=np.ones((4, 4), np.float32),
        log_scales=ones,
        opacity_logits=ones[:, 0],
        sh=np.ones((4, 4, 3), np.float32),
    )
    write_ply(folder / "a.ply", splats, "made for damage")
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.ones(4, dtype=torch.int64)}
    save_tensors(folder / "a.safetensors", tensors, kind="fuzz", header={"config": {"x": 1}})
    unit = np.full((30, 42), 1 / 42, np.float32)
    SpeechFeatures(unit, unit.repeat(2, 1)[:, :80], unit[:, :9], encoder="e").save(folder / "speech.npz")
    np.savez(folder / "poses.npz", viewmats=np.tile(np.eye(4), (3, 1, 1)))
    (folder / "time.csv").write_text("time_s,label,intensity\n0,happy,0.5\n2.5,sad,1\n4,neutral,\n")
    (folder / "spans.csv").write_text("start_s,end_s,label,intensity\n0,1.5,happy,0.5\n2,3,sad,1\n")
    (folder / "recordings.csv").write_text("file,speaker,label,intensity\na.wav,s1,happy,1\na.flac,s2,sad,\n")
    (folder / "au.csv").write_text("frame, AU01_r, AU45_r\n1, 0.5, 1.25\n2, 0, 3\n3, 1, 0\n")
    (folder / "config.json").write_text(json.dumps(to_plain(preset("quick"))))
    (folder / "avatar.json").write_text(json.dumps({"schema": 1, "layers": ["face"], "width": 8, "height": 8}))
    subject = Subject.create(folder / "made", SourceFacts(name="v", sha256="0" * 64, num_frames=2, width=8, height=6))
    subject.finish_stage("frames", [], {"n": 1}, {"a": 1})
    (subject.folder / "a.wav").write_bytes((folder / "a.wav").read_bytes())
    subject.finish_stage("audio", ["a.wav"], {"present": True})
    (subject.folder / "a.wav").unlink()
    (subject.folder / "subject.json").replace(folder / "subject.json")
    subject.folder.rmdir()
    frames = [{"img_id": i, "aud_id": i, "transform_matrix": np.eye(4).tolist()} for i in range(3)]
    listed = {"focal_len": 900.0, "cx": 4.0, "cy": 3.0, "frames": frames}
    (folder / "transforms_train.json").write_text(json.dumps(listed))


def _plain_video(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for i in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 * i, np.uint8), "rgb24")))
        container.mux(stream.encode(None))


# --- damage ----------------------------------------------------------------------------------------------------------

EXTREME = [struct.pack(f, v) for f in (">I", "<I", ">Q", "<Q") for v in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)]
WORDS = ["nan", "inf", "-inf", "1e308", "-1", "0", "1e-320", "9" * 400, "", "null", "true", '"', "[]", "{}", "[["]
WORDS += ["é", "\u202e", "日本", "-", "../../x", "1,2", "\r", "\n", "\n\n", ";", "'", "#", "\ufeff", "0x10", "1_0"]
WORDS += ["\x00", "[" * 3000]


def damage_bytes(data: bytes, draw: random.Random) -> bytes:
    """One to four of: cut, flip, blank, repeat, remove, insert, and numbers at their ends."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        if not found:
            break
        at, size = draw.randrange(len(found)), draw.choice((1, 2, 4, 16, 256, 4096))
        how = draw.randrange(8)
        if how == 0:
            del found[at:]
        elif how == 1:
            for _ in range(draw.choice((1, 1, 4, 64))):
                found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
        elif how == 2:
            found[at : at + size] = bytes(len(found[at : at + size]))
        elif how == 3:
            found[at:at] = found[at : at + size]
        elif how == 4:
            del found[at : at + size]
        elif how == 5:
            found[at:at] = draw.randbytes(size)
        elif how == 6:
            value = draw.choice(EXTREME)
            found[at : at + len(value)] = value
        else:
            found[at : at + size] = draw.randbytes(len(found[at : at + size]))
    return bytes(found)


def damage_words(data: bytes, draw: random.Random) -> bytes:
    """Words and numbers of a text replaced, doubled, moved or dropped."""
    parts = re.split(rb"([A-Za-z_0-9.+-]+)", data)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(parts))
        how = draw.randrange(4)
        other = draw.choice(WORDS).encode()
        parts[at] = (other, parts[at] * 2, draw.choice(parts), b"")[how] if how else other
    return b"".join(parts)


def damage_inside(data: bytes, draw: random.Random) -> bytes:
    """An archive whose members are damaged, with check sums that agree again."""
    whole, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    names = whole.namelist()
    chosen = draw.choice(names)
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            content = whole.read(name)
            made.writestr(
                name, (draw.choice((damage_words, damage_bytes)))(content, draw) if name == chosen else content
            )
    return out.getvalue()


def damaged(data: bytes, reader: Reader, draw: random.Random) -> bytes:
    """One damaged file."""
    if data[:4] == b"PK\x03\x04" and draw.random() < 0.7:
        return damage_inside(data, draw)
    return (damage_words if reader.text and draw.random() < 0.6 else damage_bytes)(data, draw)


# --- the watched child -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """Something that must not happen."""

    reader: str
    what: str
    data: bytes
    name: str


def attempt(reader: Reader, path: Path) -> tuple[str, str]:
    """``("read" | "refused" | "fault", what)``."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        reader.read(path)
        verdict, what = "read", ""
    except UserError as error:
        verdict, what = ("refused", "") if len(str(error)) < 20_000 else ("fault", "a sentence without an end")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        verdict, what = (
            "fault",
            f"{type(error).__name__}: {str(error)[:160]} ({Path(place.filename).name}:{place.lineno})",
        )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return ("fault", f"took {grown >> 20} MiB") if grown > MEMORY else (verdict, what)


def _cpu_s(child: int) -> float:
    """Processor time that a child has used: on a busy machine the clock says little."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Fuzz:
    """A run.

    Args:
        seeds: Folder of whole files.
        work: An empty folder.
        seed: Everything drawn follows from it.
    """

    def __init__(self, seeds: Path, work: Path, seed: int) -> None:
        self._draw = random.Random(seed)
        self._work = work
        self._data = {path.name: path.read_bytes() for path in seeds.iterdir() if path.is_file()}
        for name in ("a.wav", "a.flac"):
            (work / name).write_bytes(self._data[name])
        self.outcomes: dict[str, Counter[str]] = {name: Counter() for name in READERS}
        self.faults: list[Fault] = []
        self.slowest: dict[str, float] = dict.fromkeys(READERS, 0.0)

    def draw(self, names: Sequence[str], count: int) -> list[tuple[str, str, bytes]]:
        """Reader, name and content of the next inputs."""
        chosen = self._draw.choices(names, [READERS[name].share for name in names], k=count)
        made = []
        for name in chosen:
            seed = self._draw.choice(READERS[name].seeds)
            place = READERS[name].place or f"{self._draw.choice(('', '-', 'ä b ', '%d'))}{seed}"
            made.append((name, place, damaged(self._data[seed], READERS[name], self._draw)))
        return made

    def run(self, inputs: Sequence[tuple[str, str, bytes]]) -> None:
        """Read them all; a child that dies or hangs is replaced and goes on after the input that did it."""
        begin = 0
        while begin < len(inputs):
            begin = self._batch(inputs, begin)

    def _batch(self, inputs: Sequence[tuple[str, str, bytes]], begin: int) -> int:
        counter = mmap.mmap(-1, 8)
        record = self._work / ".record"
        sys.stdout.flush(), sys.stderr.flush()
        child = os.fork()
        if not child:
            self._child(inputs, begin, counter, record)
        last, since, used, hung = -1, time.monotonic(), 0.0, False
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            current = int.from_bytes(counter[:8], "little")
            if current != last:
                last, since, used = current, time.monotonic(), _cpu_s(child)
            elif _cpu_s(child) - used > HANG_S or time.monotonic() - since > 10 * HANG_S:
                hung = True
                os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
                break
            time.sleep(0.01)
        for line in record.read_text().splitlines():
            at, verdict, seconds, what = json.loads(line)
            self._count(inputs[at], verdict, what, seconds)
        reached = int.from_bytes(counter[:8], "little")
        if hung or status:
            what = f"no end after {HANG_S:g} s" if hung else f"the process died ({os.waitstatus_to_exitcode(status)})"
            self._count(inputs[begin + reached], "fault", what, HANG_S if hung else 0.0)
            return begin + reached + 1
        return len(inputs)

    def _child(self, inputs: Sequence[tuple[str, str, bytes]], begin: int, counter: mmap.mmap, record: Path) -> None:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + 2 * MEMORY,) * 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders talk
        with record.open("w") as out:
            for done, (name, place, data) in enumerate(inputs[begin:]):
                counter[:8] = done.to_bytes(8, "little")
                path = self._work / place
                path.write_bytes(data)
                started = time.monotonic()
                verdict, what = attempt(READERS[name], path)
                out.write(json.dumps([begin + done, verdict, round(time.monotonic() - started, 4), what]) + "\n")
                out.flush()
                if path.name not in ("a.wav", "a.flac"):
                    path.unlink()
        os._exit(0)

    def _count(self, given: tuple[str, str, bytes], verdict: str, what: str, seconds: float) -> None:
        name, place, data = given
        self.outcomes[name][verdict] += 1
        self.slowest[name] = max(self.slowest[name], seconds)
        if verdict == "fault":
            self.faults.append(Fault(name, what, data, place))

    def result(self) -> dict[str, Any]:
        """Sums."""
        kinds = Counter(f"{fault.reader}: {re.sub(r'[0-9]{3,}', 'N', fault.what)}" for fault in self.faults)
        return {
            "inputs": sum(sum(found.values()) for found in self.outcomes.values()),
            "faults": len(self.faults),
            "readers": {
                name: {**found, "slowest_s": round(self.slowest[name], 2)} for name, found in self.outcomes.items()
            },
            "kinds_of_faults": dict(kinds.most_common()),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-fuzz-") as folder:
        root = Path(folder)
        (root / "seeds").mkdir(), (root / "work").mkdir()
        make_seeds(root / "seeds")
        fuzz = Fuzz(root / "seeds", root / "work", options.seed)
        while (done := fuzz.result()["inputs"]) < options.inputs:
            sys.stderr.write(f"{done} inputs, {len(fuzz.faults)} faults\n")
            fuzz.run(fuzz.draw(options.readers, min(500, options.inputs - done)))
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        for i, fault in enumerate(fuzz.faults):
            (options.keep / f"{i:04d}-{fault.reader.replace(' ', '-')}-{Path(fault.name).name}").write_bytes(fault.data)
    result = fuzz.result()
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    sys.exit(1 if result["faults"] else 0)


if __name__ == "__main__":
    main()
