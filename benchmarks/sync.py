"""How well the lip expert finds planted delays: 3 s windows of real clips, delays of -8 to 8 frames.

Each clip has a constant offset of its own, which is estimated from the whole clip. Then every window of 3 s (one every
half second) is scored with its sound moved by every whole number of frames from -8 to 8; a window counts as right where
the offset found is within one frame of the clip's own plus the planted one. The window's sound may reach beyond the
window, as in a longer video. Every person is judged by a content prior and by weights of the lip columns that come from
the clips of other people.

Clips are left out, and named, by criteria that do not know the answer: no sound, less than 1 s of speech, a face in
less than nine tenths of the frames, less than 4.5 s, or an own offset that `priors.offset` does not believe. They still
train the priors of the others, with little weight where the offset is not believed.

Run: python benchmarks/sync.py [PERSON=]CLIP... --cache FOLDER [--json] [--min-voiced 0.5]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.evaluation.expression_features import lip_vector
from ua3dtalk.evaluation.lip_expert import WINDOW_FRAMES, LipSync, lip_sync
from ua3dtalk.priors.content import voice_activity
from ua3dtalk.priors.content_training import ContentConfig, HeldOut, train_held_out
from ua3dtalk.priors.offset import correlation
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.recipes.content_clips import load_clip, person_and_path
from ua3dtalk.tracking.normalised import normalised_points

DELAYS = range(-8, 9)
STEP = 12
"""Frames between windows."""
TOLERANCE = 1.0
MIN_FRAMES = 112
MIN_VOICED_S = 1.0
MIN_R = 0.2
"""Columns that are predicted worse than this on other speakers are not compared."""
LONG_FRAMES = 500
"""A clip weighs at most as much as this many frames in the columns' weights."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip, measured."""

    name: str
    speaker: str
    lips: np.ndarray
    """[t, 14]"""
    predicted: np.ndarray
    """[n, 14] at 50 Hz."""
    voiced: np.ndarray
    """[t], 0..1."""
    column_r: np.ndarray
    """[14] correlation of predicted and seen lips at the own offset."""


def load_clips(named: list[str], cache: Path) -> tuple[list[Clip], dict[str, str]]:
    """The clips, each predicted by a prior that does not know the person; and why others are left out."""
    found, left_out = [], {}
    for person, path in map(person_and_path, named):
        try:
            found.append(load_clip(path, person, whole=True, cache=cache))
        except UserError as error:
            left_out[path.stem] = error.what
    _, held_out, _ = train_held_out(found, ContentConfig(), PhoneEncoder(), Silent())
    clips = []
    for one in held_out:
        count, offset = len(one.targets), one.offset
        voiced = voice_activity(one.speech, count)
        if voiced.sum() / 25 < MIN_VOICED_S:
            left_out[one.source.name] = f"{voiced.sum() / 25:.1f} s of speech"
        elif count < MIN_FRAMES:
            left_out[one.source.name] = f"{count / 25:.1f} s long"
        elif not offset.accepted:
            left_out[one.source.name] = f"own offset not believed (r {offset.peak:.2f}, rival {offset.rival:.2f})"
        else:
            clips.append(measured(one, voiced))
    return clips, left_out


def measured(one: HeldOut, voiced: np.ndarray) -> Clip:
    count = len(one.targets)
    there = one.predicted((np.arange(count) + one.offset.frames) / 25)
    return Clip(
        name=one.source.name,
        speaker=one.source.speaker,
        lips=one.targets,
        predicted=one.predicted(np.arange(int(one.speech.num_audio_frames / 2)) / 50),
        voiced=voiced,
        column_r=np.array([correlation(there[:, c], one.targets[:, c]) for c in range(14)]),
    )


def weights_without(speaker: str | None, clips: list[Clip]) -> dict[int, float]:
    """Mean correlation of each column over the other speakers."""
    others = [clip for clip in clips if clip.speaker != speaker]
    mean = np.average([c.column_r for c in others], axis=0, weights=[min(len(c.lips), LONG_FRAMES) for c in others])
    return {column: round(float(r), 2) for column, r in enumerate(mean) if r >= MIN_R}


def measure(clip: Clip, weights: dict[int, float], min_voiced: float) -> dict[str, object]:
    """Planted delays in all windows of one clip."""
    whole = lip_sync(clip.predicted, clip.lips, 0, weights)
    assert whole is not None, clip.name
    tried: list[tuple[float, float]] = []  # voiced share, share of delays found
    errors: list[float] = []
    for start in range(0, len(clip.lips) - WINDOW_FRAMES + 1, STEP):
        here = slice(start, start + WINDOW_FRAMES)
        found = [lip_sync(clip.predicted, clip.lips[here], start + delay, weights) for delay in DELAYS]
        wrong = [error_of(f, whole.offset_frames + delay) for f, delay in zip(found, DELAYS, strict=True)]
        errors += wrong
        tried.append((float(clip.voiced[here].mean()), float(np.mean([e <= TOLERANCE for e in wrong]))))
    spoken = [share for voiced, share in tried if voiced >= min_voiced]
    failed = [voiced for voiced, share in tried if share < 0.5]
    return {
        "clip": clip.name,
        "speaker": clip.speaker,
        "seconds": round(len(clip.lips) / 25, 1),
        "own_offset_frames": whole.offset_frames,
        "confidence": round(whole.confidence, 3),
        "distance": round(whole.distance, 3),
        "windows": len(tried),
        "found": round(float(np.mean([share for _, share in tried])), 4),
        "median_error_frames": round(float(np.median(errors)), 2),
        "silent_windows": len(tried) - len(spoken),
        "found_in_speech": round(float(np.mean(spoken)), 4) if spoken else None,
        "voiced": round(float(clip.voiced.mean()), 2),
        "failed_windows": len(failed),
        "voiced_where_failed": round(float(np.mean(failed)), 2) if failed else None,
    }


def error_of(found: LipSync | None, wanted: float) -> float:
    return np.inf if found is None else abs(found.offset_frames - wanted)


def total(rows: list[dict], name: str) -> dict[str, object]:
    """Over windows, and over speakers with equal weight."""
    if not rows:
        return {"clips": name, "windows": 0}
    windows = np.array([row["windows"] for row in rows], float)
    spoken = windows - [row["silent_windows"] for row in rows]
    speakers = {row["speaker"] for row in rows}

    def over(chosen: list[dict]) -> float:
        return float(np.average([r["found"] for r in chosen], weights=[r["windows"] for r in chosen]))

    in_speech = [row["found_in_speech"] or 0.0 for row in rows]
    return {
        "clips": name,
        "windows": int(windows.sum()),
        "found": round(over(rows), 4),
        "found_mean_of_speakers": round(
            float(np.mean([over([r for r in rows if r["speaker"] == s]) for s in speakers])), 4
        ),
        "silent_windows": int(windows.sum() - spoken.sum()),
        "found_in_speech": round(float(np.average(in_speech, weights=spoken)), 4) if spoken.sum() else None,
    }


def cost_ms(clip: Clip, weights: dict[int, float]) -> dict[str, float]:
    """Process time of the parts, one thread, best of five."""
    points = np.random.default_rng(0).normal(size=(478, 3)).astype(np.float32)  # any face takes the same time

    def best(run: Callable[[], object], repeats: int) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            for _ in range(repeats):
                run()
            times.append((time.process_time() - start) / repeats * 1e3)
        return round(min(times), 3)

    window = clip.lips[:WINDOW_FRAMES]
    return {
        "lips_of_a_frame": best(lambda: lip_vector(normalised_points(points)), 50),
        "window_of_3_s": best(lambda: lip_sync(clip.predicted, window, 0, weights), 3),
        "whole_clip": best(lambda: lip_sync(clip.predicted, clip.lips, 0, weights), 1),
    }


def show(results: dict) -> None:
    head = f"{'clip':28s} {'own':>5s} {'windows':>7s} {'found':>6s} {'silent':>6s} {'in speech':>9s}"
    sys.stdout.write(head + "  confidence  distance  voiced  failed (voiced there)\n")
    for row in results["rows"]:
        speech = "-" if row["found_in_speech"] is None else f"{row['found_in_speech']:.3f}"
        failed = f"{row['failed_windows']} ({row['voiced_where_failed']})" if row["failed_windows"] else "0"
        sys.stdout.write(
            f"{row['clip']:28s} {row['own_offset_frames']:5.1f} "
            f"{row['windows']:7d} {row['found']:6.3f} {row['silent_windows']:6d} {speech:>9s}  "
            f"{row['confidence']:10.3f} {row['distance']:9.3f} {row['voiced']:7.2f}  {failed}\n"
        )
    for row in results["totals"]:
        sys.stdout.write(f"{row}\n")
    for name, why in results["left_out"].items():
        sys.stdout.write(f"left out: {name}: {why}\n")
    sys.stdout.write(f"weights over all speakers: {results['weights']}\ncost, ms: {results['cost_ms']}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the landmarks")
    parser.add_argument("--min-voiced", type=float, default=0.5, help="share of speech below which a window is silent")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    clips, left_out = load_clips(arguments.clips, arguments.cache)
    rows = [measure(clip, weights_without(clip.speaker, clips), arguments.min_voiced) for clip in clips]
    results = {
        "rows": rows,
        "totals": [total(rows, "all")],
        "left_out": left_out,
        "weights": weights_without(None, clips),
        "cost_ms": cost_ms(clips[0], weights_without(None, clips)),
        "machine": platform.processor() or platform.machine(),
        "load_average": [round(x, 1) for x in os.getloadavg()],
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    if arguments.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    else:
        show(results)


if __name__ == "__main__":
    main()
