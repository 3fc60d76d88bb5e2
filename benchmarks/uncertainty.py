"""Does the forecast know where, when and why the avatar errs? Held-out frames of a subject, driven by its speech.

    python benchmarks/uncertainty.py SUBJECT AVATAR [--json]

Rank correlation of forecast and true absolute error over frames and over pixels of the head; share of true errors in
the forecast's 50, 80 and 95 % intervals; error of the mouth's box when the least sure frames are dropped, beside what
perfect knowledge would reach (the risk-coverage curve). Spoilt streams: ``benchmarks/doubts.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.storage import load_avatar, load_poses
from ua3dtalk.recipes.evaluate import protocol_rows
from ua3dtalk.recipes.truth import SubjectTruth
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.labels import HEAD_LABELS
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import Subject

PIXELS_PER_FRAME = 400
COVERAGES = (0.5, 0.8, 0.95)
DROPPED = (0.05, 0.1, 0.2, 0.3, 0.5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", type=Path)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = torch.device("cpu")
    avatar = load_avatar(options.avatar, make_rasterizer(device), device)
    subject = Subject.open(options.subject)
    rows = protocol_rows(subject, options.avatar / "priors.safetensors")
    results = {
        name: agreement(avatar, subject, rows[name][0], load_poses(options.avatar)) for name in ("driven", "audio-only")
    }
    if options.json:
        print(json.dumps(results))
        return
    for name, values in results.items():
        print(name)
        for key, value in values.items():
            print(f"  {key:32} {value:.3f}" if isinstance(value, float) else f"  {key:32} {value}")


def agreement(avatar: Avatar, subject: Subject, track: ConditionTrack, viewmats: np.ndarray) -> dict[str, object]:
    """How forecast and truth agree on the held-out frames."""
    frames = make_split(subject.num_frames).test
    truth, rng = SubjectTruth(subject), np.random.default_rng(0)
    per_frame, pixels = [], []
    for i in frames:
        drawn = avatar.render_over(track.frame(i), viewmats[i], truth.behind(i), want_maps=True)
        if drawn.forecast is None:
            raise SystemExit("This avatar has no forecast: train it again.")
        error = np.abs(drawn.image.astype(np.float32) / 255 - truth.real(i)).mean(-1)
        head = np.isin(subject.parsing(i), HEAD_LABELS) & (drawn.forecast.error > 0)
        around = truth.mouth(i) & head
        per_frame.append(
            (drawn.forecast.head, drawn.forecast.mouth, error[head].mean(), error[around].mean(), drawn.uncertainty)
        )
        some = rng.choice(np.flatnonzero(head), PIXELS_PER_FRAME)
        deviation = np.zeros_like(error) if drawn.deviation is None else drawn.deviation
        pixels.append(np.stack([a.ravel()[some] for a in (drawn.forecast.error, error, deviation)], 1))
    head, mouth, true_head, true_mouth, deviation = np.array(per_frame, np.float64).T
    expected, true, splatted = np.concatenate(pixels).T
    forecast = avatar.forecast
    assert forecast is not None
    return {
        "frames": len(frames),
        "expected / true mean error": float(head.mean() / true_head.mean()),
        "spearman per frame, head": float(spearmanr(head, true_head)[0]),
        "spearman per frame, mouth": float(spearmanr(mouth, true_mouth)[0]),
        "spearman per frame, variance alone": float(spearmanr(deviation, true_head)[0]),
        "spearman per pixel": float(spearmanr(expected, true)[0]),
        "spearman per pixel, variance alone": float(spearmanr(splatted, true)[0]),
        **{f"pixels in the {c:.0%} interval": covered(expected, true, forecast, c, None) for c in COVERAGES},
        **{f"frames in the {c:.0%} interval": covered(head, true_head, forecast, c, "head") for c in COVERAGES},
        **{f"mouth error, least sure {d:.0%} dropped": kept(mouth, true_mouth, d) for d in DROPPED},
        **{f"the same, {d:.0%}, by perfect knowledge": kept(true_mouth, true_mouth, d) for d in DROPPED},
    }


def covered(expected: np.ndarray, true: np.ndarray, forecast, coverage: float, target: str | None) -> float:
    """Share of true errors inside the interval."""
    low, high = forecast.interval(1.0, coverage, target)
    return float(((true >= low * expected) & (true <= high * expected)).mean())


def kept(doubt: np.ndarray, error: np.ndarray, dropped: float) -> float:
    """Change of the mean error when the most doubtful frames are dropped, as a share of it."""
    return float(error[np.argsort(doubt)[: round((1 - dropped) * len(error))]].mean() / error.mean()) - 1


if __name__ == "__main__":
    main()
