"""Does an avatar notice bad input? ``python benchmarks/doubts.py SUBJECT AVATAR [--speech FILE ...] [--json]``.

On the held-out frames of the subject, one stream at a time is spoilt: noise of its own deviation, zeros, another
speaker's frames (the first ``--speech``), or its own half a second late. For each: area under the ROC curve of the
shown score (spoilt against clean frames), share of frames with an alarm, and share in which this stream is named.
Then: alarms on clean speech of the speakers given; clarity and calmed lips under white noise; and how far the motion
that the networks add moves from that of clean streams: under the learnt fusion, under uniform weights, and under the
learnt fusion of streams that are mended where they are doubted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.conditions import STREAMS, ConditionTrack
from ua3dtalk.avatar.familiarity import ALARM, Familiarity
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.recipes.evaluate import held_out_sound, protocol_rows
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import Subject
from ua3dtalk.synthesis.doubts import calmer, find_doubts
from ua3dtalk.synthesis.drive import Drive, frames_of, make_drive, read_speech
from ua3dtalk.synthesis.options import SynthesisOptions

WAYS = ("noise", "zero", "swap", "shift")
SHIFT_FRAMES = 12
NOISES_DB = (20, 10, 0)
LEAST = 0.1
MOTION_EVERY = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", type=Path)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--speech", type=Path, nargs="+", required=True, help="clean speech of other people")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    avatar, subject = load_avatar(args.avatar, make_rasterizer(device), device, exact=True), Subject.open(args.subject)
    known = Familiarity.load(args.avatar, avatar.priors.content)
    track = protocol_rows(subject, args.avatar / "priors.safetensors")["driven"][0]
    others = {path.name: spoken(avatar, read_speech(path)[: round(args.seconds * 16000)]) for path in args.speech}
    first = next(iter(others.values()))[0].conditions
    found = {
        "clean": alarms(known, track, make_split(subject.num_frames).test),
        "spoilt": spoilt_streams(known, track, first, make_split(subject.num_frames)),
        "other speakers": {
            name: alarms(known, drive.conditions, range(len(drive))) for name, (drive, _) in others.items()
        },
        "white noise": white_noise(avatar, known, subject),
        "fusion": fusion(avatar, known, track, first, make_split(subject.num_frames)),
    }
    sys.stdout.write((json.dumps(found, indent=1) if args.json else as_text(found)) + "\n")


def spoken(avatar: Avatar, samples: np.ndarray) -> tuple[Drive, SpeechFeatures]:
    """What a sound makes of the avatar's conditions."""
    speech = PhoneEncoder().encode(samples)
    options = SynthesisOptions(pose="still", blink="none")
    return make_drive(avatar, speech, frames_of(samples), options, np.random.default_rng(0)), speech


def alarms(known: Familiarity, track: ConditionTrack, frames: range) -> dict[str, float]:
    """Share of frames in which each stream is doubted, and the mean confidence in the speech."""
    found = known.judge(track)
    rows = np.array(frames)
    shares = dict(zip(STREAMS, (found.scores[rows] > ALARM).mean(0).tolist(), strict=True))
    voice = float((found.voice[rows] > ALARM).mean())
    return shares | {"other voice": voice, "speech confidence": float(found.confidence[rows].mean())}


def spoil(track: ConditionTrack, stream: str, way: str, other: ConditionTrack, train: range) -> ConditionTrack:
    """One stream of a track made bad."""
    value = getattr(track, stream)
    theirs = getattr(other, stream)
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(0))
    bad = {
        "noise": value + noise * value[list(train)].std(0),
        "zero": torch.zeros_like(value),
        "swap": theirs[torch.arange(len(value)) % len(theirs)],
        "shift": value.roll(SHIFT_FRAMES, 0),
    }
    return replace(track, **{stream: bad[way]})


def spoilt_streams(known: Familiarity, track: ConditionTrack, other: ConditionTrack, split: Any) -> dict[str, Any]:
    """How well each way of spoiling each stream is seen."""
    clean, rows = known.judge(track), np.array(split.test)
    table: dict[str, Any] = {}
    for stream in present(track):
        s = STREAMS.index(stream)
        for way in WAYS:
            bad = known.judge(spoil(track, stream, way, other, split.train))
            table[f"{stream}, {way}"] = {
                "auroc": auroc(clean.scores[rows, s], bad.scores[rows, s]),
                "auroc, voice": auroc(clean.voice[rows], bad.voice[rows]) if stream == "emotion" else None,
                "alarm": float((bad.scores[rows, s] > ALARM).mean()),
                "named": float(np.mean([bad.least_trusted(int(t)) == stream for t in rows])),
            }
    return table


def present(track: ConditionTrack) -> list[str]:
    """Streams that are there."""
    return [name for name, there in zip(STREAMS, track.present.bool().all(0).tolist(), strict=True) if there]


def auroc(clean: np.ndarray, bad: np.ndarray) -> float:
    """Chance that a spoilt frame has a larger score than a clean one."""
    ranks = rankdata(np.concatenate([clean, bad]))[len(clean) :]
    return float((ranks.sum() - len(bad) * (len(bad) + 1) / 2) / (len(clean) * len(bad)))


def white_noise(avatar: Avatar, known: Familiarity, subject: Subject) -> dict[str, Any]:
    """Clarity, and the lips' distance from those of the clean sound, as they are and calmed (z-scored expression)."""
    samples = held_out_sound(subject, make_split(subject.num_frames).test)
    if samples is None:
        return {}
    clean = spoken(avatar, samples)[0].conditions.lower
    rng, table = np.random.default_rng(0), {}
    for db in NOISES_DB:
        noise = rng.normal(size=len(samples)) * np.sqrt(np.square(samples).mean()) * 10 ** (-db / 20)
        drive, speech = spoken(avatar, (samples + noise).astype(np.float32))
        doubts = find_doubts(drive, speech.mel, known)
        calm = calmer(drive, doubts, known, LEAST).conditions.lower
        table[f"{db} dB"] = {
            "clarity, dB": float(np.median(doubts.clarity_db)),
            "confidence": float(doubts.confidence.mean()),
            "error": float((drive.conditions.lower - clean).norm(dim=1).mean()),
            "error, calmed": float((calm - clean).norm(dim=1).mean()),
        }
    return table


@torch.no_grad()
def fusion(
    avatar: Avatar, known: Familiarity, track: ConditionTrack, other: ConditionTrack, split: Any
) -> dict[str, Any]:
    """Change of the networks' displacement (mm) when a stream is spoilt, under both rules and the same weights."""
    layer = avatar.layers["face"]
    static = layer.motion.prepare_static(layer.gaussians.means)
    rows, learnt, table = list(split.test)[::MOTION_EVERY], layer.motion.config, {}

    def moved(given: ConditionTrack, rule: str) -> torch.Tensor:
        layer.motion.config = replace(learnt, covariance=rule)
        parts = [
            layer.motion(layer.gaussians.means, layer.mesh_basis, given.frame(t), "ensemble", static=static).residual
            for t in rows
        ]
        layer.motion.config = learnt
        return torch.stack(parts)

    def distance(given: ConditionTrack) -> float:
        return float((moved(given, learnt.covariance) - clean[learnt.covariance]).norm(dim=-1).mean() * 1e3)

    clean = {rule: moved(track, rule) for rule in (learnt.covariance, "uniform")}
    for stream in present(track):
        for way in WAYS:
            bad = spoil(track, stream, way, other, split.train)
            far = {rule: float((moved(bad, rule) - z).norm(dim=-1).mean() * 1e3) for rule, z in clean.items()}
            far["mended"] = distance(known.mended(bad, known.judge(bad)))
            ratios = {f"{name} / uniform": far[name] / far["uniform"] for name in (learnt.covariance, "mended")}
            table[f"{stream}, {way}"] = far | ratios
    everything = {name: sum(row[name] for row in table.values()) for name in (learnt.covariance, "uniform", "mended")}
    table["all together"] = {f"{k} / uniform": v / everything["uniform"] for k, v in everything.items()}
    table["clean, mended"] = {"change": distance(known.mended(track, known.judge(track)))}
    middle = clean[learnt.covariance].mean(0)
    table["movement about its mean"] = {"size": float((clean[learnt.covariance] - middle).norm(dim=-1).mean() * 1e3)}
    return table


def as_text(found: Mapping[str, Any], indent: int = 0) -> str:
    """Nested values, a line each."""
    lines = []
    for key, value in found.items():
        if isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            lines += [" " * indent + key, as_text(value, indent + 2)]
        elif isinstance(value, Mapping):
            numbers = ", ".join(f"{k} {v:.2f}" for k, v in value.items() if v is not None)
            lines.append(" " * indent + f"{key}: {numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
