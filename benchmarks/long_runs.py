"""Long speech: do memory, open files, and the step of sound and picture hold?

    python benchmarks/long_runs.py [--simulated 10] [--hours 0] [--real-share 0.05] [--size 128]
        [--avatar AVATAR] [--speech FILE] [--json]

*simulated*: one video of so many hours is written, minute by minute: speech is encoded, drives the avatar, is rendered,
encoded and muxed, as ``synthesize`` does. Of the minutes only ``--real-share`` go the whole way; in the others the
pictures of the last real one are encoded and muxed again, at half the size. *real*: speech repeated for ``--hours``
goes through ``synthesize_video`` as it is, at the avatar's size.

Watched at every minute of speech: memory of the process that no file stands behind, and open files. The slope is that
of a line through all minutes but the first tenth. At the end the file itself is asked whether sound and picture are in
step: lengths of both streams, the lag of the sound against the speech that was given, and (simulated) the lag of the
picture against the frames that were rendered. Without ``--avatar`` a small one of the embedded actor is made.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GLOG_minloglevel": "3"}

import av
import numpy as np
import soundfile
import torch

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.cli.main import main as command
from ua3dtalk.media.audio import SAMPLE_RATE_HZ, read_audio
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.recipes.synthesize import synthesize_video
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import VIDEO_NAME, generate_actor, synthesize_voice
from ua3dtalk.synthesis.drive import FPS, frames_of, make_drive
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.render import render_frames

CHUNK_S = 60.0
SETTLED = 0.1
TAIL_S = 6.0
REACH = 5
"""Lags of the picture that are tried, frames."""
SOUND_REACH_S = 0.2


# --- what is watched -------------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """Memory and open files over the seconds of speech that are done; also a progress that notes them each minute."""

    every_s: float = CHUNK_S
    rows: list[tuple[float, float, int]] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    """Memory when each task ended, MB."""
    _done: int = 0

    def note(self, seconds: float) -> None:
        """So much speech is done now."""
        self.rows.append((seconds, resident_mb(), sum(1 for _ in Path("/proc/self/fd").iterdir())))
        sys.stderr.write(f"{seconds / 60:.0f} min: {self.rows[-1][1]:.0f} MB, {self.rows[-1][2]} files\n")

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Watch]:
        """As ``ua3dtalk.core.progress.Progress``."""
        self._done = 0
        self._frames = name == "synthesize"
        yield self
        self.stages[name] = round(resident_mb(), 1)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """As ``ua3dtalk.core.progress.Task``."""
        self._done += steps
        if self._frames and self._done % round(self.every_s * FPS) == 0:
            self.note(self._done / FPS)

    def result(self) -> dict[str, Any]:
        """Where memory and files begin and end, and how they grow per hour of speech."""
        table = np.array(self.rows)
        settled = table[round(SETTLED * len(table)) :]
        slopes = np.polyfit(settled[:, 0] / 3600, settled[:, 1:], 1)[0] if len(settled) > 2 else (None, None)
        return {
            "memory_mb": {"first": settled[0, 1], "last": settled[-1, 1], "most": float(table[:, 1].max())},
            "memory_slope_mb_per_hour": None if slopes[0] is None else round(float(slopes[0]), 3),
            "open_files": {"first": int(settled[0, 2]), "last": int(settled[-1, 2]), "most": int(table[:, 2].max())},
            "open_files_slope_per_hour": None if slopes[1] is None else round(float(slopes[1]), 4),
            "peak_mb_of_the_process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }


def resident_mb() -> float:
    """Memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024, 2)


# --- the step of sound and picture -----------------------------------------------------------------------------------


def lengths(path: Path) -> dict[str, Any]:
    """Frames, and where both streams end, seconds, by the packets themselves."""
    ends, frames = {"video": 0.0, "audio": 0.0}, 0
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                ends[packet.stream.type] = max(ends[packet.stream.type], end)
                frames += packet.stream.type == "video"
    return {"frames": frames, **{f"{kind}_s": round(end, 3) for kind, end in ends.items()}}


def sound_lag_ms(path: Path, speech: np.ndarray, end_s: float) -> float:
    """How much later than it should the sound at the end is heard; ``speech`` repeats from the start of the file."""
    first_s, parts = None, []
    with av.open(str(path)) as container:
        container.seek(int((end_s - TAIL_S) * 1e6), any_frame=False)
        for frame in container.decode(audio=0):
            if frame.pts is not None and frame.time_base is not None:
                first_s = float(frame.pts * frame.time_base) if first_s is None else first_s
                parts.append(frame.to_ndarray().mean(0))
    assert first_s is not None
    heard = np.concatenate(parts)
    reach = round(SOUND_REACH_S * SAMPLE_RATE_HZ)
    heard = heard[reach:-reach] if len(heard) > 4 * reach else heard
    begin = round(first_s * SAMPLE_RATE_HZ) + reach
    lags = np.arange(-reach, reach + 1)
    given = speech[(begin - reach + np.arange(len(heard) + 2 * reach)) % len(speech)]
    scores = np.correlate(given - given.mean(), heard - heard.mean(), "valid")
    return round(float(-lags[scores.argmax()]) / SAMPLE_RATE_HZ * 1000, 2)


def picture_lag(path: Path, pictures: Sequence[np.ndarray], end_s: float) -> int:
    """How many frames later than it should the picture at the end comes; ``pictures`` repeat from the start."""
    errors = np.zeros(2 * REACH + 1)
    with av.open(str(path)) as container:
        container.seek(int((end_s - TAIL_S) * 1e6), any_frame=False)
        for frame in container.decode(video=0):
            if frame.pts is not None and frame.time_base is not None:
                shown = frame.to_ndarray(format="rgb24").astype(np.int16)
                i = round(float(frame.pts * frame.time_base) * FPS)
                for k, lag in enumerate(range(-REACH, REACH + 1)):
                    errors[k] += float(np.abs(shown - pictures[(i - lag) % len(pictures)]).mean())
    return int(errors.argmin()) - REACH


# --- runs ------------------------------------------------------------------------------------------------------------


def repeated(path: Path, chunk: np.ndarray, repeats: int) -> np.ndarray:
    """A sound of any length that lies in a file, not in memory."""
    with path.open("wb") as out:
        for _ in range(repeats):
            out.write(chunk.astype(np.float32).tobytes())
    return np.memmap(path, np.float32, "r")


def simulate(avatar: Avatar, speech: np.ndarray, repeats: int, real_every: int, out: Path) -> dict[str, Any]:
    """One video of the speech, again and again.

    Args:
        avatar: Who speaks.
        speech: A stretch of whole frames, 16 kHz mono.
        repeats: How often it is said.
        real_every: It is thought and rendered anew at every so many-th time; between, its pictures are encoded again.
        out: Video to write.
    """
    encoder, watch = PhoneEncoder(), Watch()
    width, height = avatar.width // 4 * 2, avatar.height // 4 * 2
    long = repeated(out.with_suffix(".f32"), speech, repeats)
    seconds, pictures, drawn = len(speech) / SAMPLE_RATE_HZ, [], 0
    with VideoWriter(out, FPS, (width, height), long, SAMPLE_RATE_HZ, {"comment": "AI-generated"}) as video:
        for k in range(repeats):
            if k % real_every == 0:
                features = encoder.encode(speech)
                drive = make_drive(avatar, features, frames_of(speech), SynthesisOptions(), np.random.default_rng(0))
                frames = render_frames(avatar, drive)
                pictures = [np.ascontiguousarray(f.image[: 2 * height : 2, : 2 * width : 2]) for f in frames]
                drawn += len(pictures)
            for picture in pictures:
                video.write(picture)
            watch.note((k + 1) * seconds)
    end_s = repeats * seconds
    out.with_suffix(".f32").unlink()
    return {
        "hours": round(end_s / 3600, 3),
        "rendered_frames": drawn,
        "rendered_share": round(drawn / (end_s * FPS), 4),
        **watch.result(),
        "at_the_end": {
            **lengths(out),
            "sound_lag_ms": sound_lag_ms(out, speech, end_s),
            "picture_lag_frames": picture_lag(out, pictures, end_s),
        },
    }


def real(avatar: Path, speech: np.ndarray, hours: float, folder: Path) -> dict[str, Any]:
    """``synthesize_video`` on the speech repeated for so many hours."""
    sound, out, watch = folder / "long.flac", folder / "long.mp4", Watch()
    repeats = max(1, round(hours * 3600 * SAMPLE_RATE_HZ / len(speech)))
    with soundfile.SoundFile(sound, "w", SAMPLE_RATE_HZ, 1) as file:
        for _ in range(repeats):
            file.write(speech)
    before, began = resident_mb(), time.monotonic()
    facts = synthesize_video(avatar, sound, out, progress=watch)
    took = time.monotonic() - began
    return {
        "hours": round(facts["audio_s"] / 3600, 3),
        "frames": facts["frames"],
        "took_s": round(took, 1),
        "memory_mb_before": before,
        "memory_mb_after_each_task": watch.stages,
        **watch.result(),
        "at_the_end": {**lengths(out), "sound_lag_ms": sound_lag_ms(out, speech, facts["audio_s"])},
    }


def make_avatar(folder: Path, size: int) -> Path:
    """A small avatar of the embedded actor, trained for a few steps: how it looks does not matter here."""
    plan = (Cue(label="neutral", intensity=0.0, seconds=5.0), Cue(label="happy", intensity=1.0, seconds=5.0))
    generate_actor(folder / "actor", ActorConfig(size=size, plan=plan))
    subject, avatar = str(folder / "subject"), str(folder / "avatar")
    small = ["--set", "init.face_count=2000", "--set", "init.mouth_count=300"]
    for arguments in (
        ["prepare", str(folder / "actor" / VIDEO_NAME), "--out", subject, "--i-have-consent"],
        ["train", subject, "--out", avatar, "--max-steps", "40", *small],
    ):
        if command([*arguments, "--quiet"]):
            sys.exit(f"ua3dtalk {arguments[0]} failed.")
    return folder / "avatar"


def whole_frames(samples: np.ndarray, seconds: float | None) -> np.ndarray:
    """Speech repeated or cut to a length (None: its own), in whole frames: repeats then fall on frames."""
    frame = round(SAMPLE_RATE_HZ / FPS)
    count = len(samples) if seconds is None else round(seconds * SAMPLE_RATE_HZ)
    return np.resize(samples, count // frame * frame).astype(np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulated", type=float, default=10.0, help="hours")
    parser.add_argument("--hours", type=float, default=0.0, help="hours that go through synthesize_video")
    parser.add_argument("--real-share", type=float, default=0.05)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--avatar", type=Path)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-long-") as name:
        folder = Path(name)
        avatar = options.avatar or make_avatar(folder, options.size)
        speech = (
            synthesize_voice("neutral", 0.5, 20.0).audio if options.speech is None else read_audio(options.speech)[0]
        )
        if options.simulated > 0:
            loaded = load_avatar(avatar, make_rasterizer(torch.device("cpu")), torch.device("cpu"))
            repeats = max(3, round(options.simulated * 3600 / CHUNK_S))
            every = max(1, round(1 / options.real_share))
            chunk = whole_frames(speech, CHUNK_S)
            result["simulated"] = simulate(loaded, chunk, repeats, every, folder / "simulated.mp4")
            sys.stderr.write(json.dumps(result) + "\n")
        if options.hours > 0:
            result["real"] = real(avatar, whole_frames(speech, None), options.hours, folder)
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
