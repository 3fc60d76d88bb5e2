"""How well `prepare` tracks: against the synthetic actor's truth, and on real clips against themselves.

    python benchmarks/tracking.py truth FOLDER [--seeds 0 1 2] [--seconds 10] [--size 512] [--head-range 20] [--json]
    python benchmarks/tracking.py clips FOLDER CLIP... [--size 512] [--json]

`truth` generates actors of several identities with a moving head, prepares their videos and compares. A constant
offset between the tracker's head frame and the actor's is not an error: one rigid offset is removed. `clips` prepares
real clips, each in a process of its own, and tabulates what the tracker says of itself, time and memory. What lies in
FOLDER already is not made again. Pictures to look at: `overlays/NAME.jpg` in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from ua3dtalk.core.sequence import spread
from ua3dtalk.recipes.data_report.pictures import draw_masks
from ua3dtalk.recipes.prepare import prepare_subject
from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import EMOTION_NAME, TRUTH_NAME, VIDEO_NAME, Actor, generate_actor
from ua3dtalk.subject.actor.truth import ActorTruth
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.subject.store import Subject
from ua3dtalk.subject.track_data import UPPER_NAMES, TrackData
from ua3dtalk.tracking.prepare_config import PrepareConfig

REGIONS = {
    "face_and_hair": HEAD_LABELS,
    "torso": (Label.TORSO, Label.NECK),
    "inner_mouth": (Label.INNER_MOUTH,),
    "hair": (Label.HAIR,),
    "skin": (Label.SKIN,),
}
MASK_EVERY = 5


def plan(seconds: float) -> tuple[Cue, ...]:
    """Neutral, happy and angry speech, a third each."""
    part = seconds / 3
    return tuple(
        Cue(label=label, intensity=strength, seconds=part)
        for label, strength in (("neutral", 0.0), ("happy", 0.8), ("angry", 0.8))
    )


def pose_errors(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Errors of poses after one rigid offset of the head frame: degrees and millimetres, root mean square.

    The translation error is that of the head's origin; `lateral` leaves out depth, which a face's unknown size scales.
    """
    relative = np.linalg.inv(true) @ found
    turn = Rotation.from_matrix(relative[:, :3, :3]).mean().as_matrix()
    wanted = true.copy()
    wanted[:, :3, :3] = true[:, :3, :3] @ turn
    angle = Rotation.from_matrix(np.swapaxes(wanted[:, :3, :3], 1, 2) @ found[:, :3, :3]).magnitude()
    # Shift s in the head frame and c in the camera's: found = true + R s + c, least squares.
    rotations = true[:, :3, :3]
    design = np.concatenate([rotations, np.tile(np.eye(3), (len(true), 1, 1))], 2).reshape(-1, 6)
    difference = (found[:, :3, 3] - true[:, :3, 3]).reshape(-1)
    ridge = np.eye(6) * 1e-3
    shift = np.linalg.solve(design.T @ design + ridge, design.T @ difference)
    left = (difference - design @ shift).reshape(-1, 3) * 1000
    return {
        "rotation_deg": float(np.degrees(np.sqrt((angle**2).mean()))),
        "rotation_p95_deg": float(np.degrees(np.percentile(angle, 95))),
        "translation_mm": float(np.sqrt((left**2).sum(1).mean())),
        "translation_lateral_mm": float(np.sqrt((left[:, :2] ** 2).sum(1).mean())),
    }


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union; 1 where both are empty."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def against_truth(folder: Path, config: ActorConfig) -> dict[str, Any]:
    """Prepare one actor and compare."""
    name = f"actor{config.seed}"
    source, out = folder / name / "source", folder / name / "subject"
    if not (source / EMOTION_NAME).exists():
        generate_actor(source, config)
    start = time.perf_counter()
    subject = prepare_subject(source / VIDEO_NAME, out, PrepareConfig(size=config.size))
    seconds = time.perf_counter() - start
    truth, track = ActorTruth.load(source / TRUTH_NAME), subject.track()
    actor = Actor(config)
    count = min(track.num_frames, len(truth.viewmats))
    shares: dict[str, list[float]] = {name: [] for name in REGIONS}
    for i in range(0, count, MASK_EVERY):
        true, found = actor.render_labels(i), subject.parsing(i)
        for region, labels in REGIONS.items():
            wanted = np.isin(true, labels)
            if region != "inner_mouth" or wanted.sum() > true.size * 2e-4:
                shares[region].append(iou(wanted, np.isin(found, labels)))
    overlays(subject, track, folder / "overlays" / f"{name}.jpg")
    blink = track.upper[:count, UPPER_NAMES.index("AU45")]
    return {
        "actor": config.seed,
        **pose_errors(track.viewmats[:count], truth.viewmats[:count]),
        **{f"iou_{region}": float(np.mean(values)) for region, values in shares.items()},
        "opening_r": float(np.corrcoef(track.opening[:count], truth.opening[:count])[0, 1]),
        "blink_r": float(np.corrcoef(blink, -truth.eye_aspect[:count])[0, 1]),
        **own_figures(subject, track),
        "focal_over_true": float(track.K[0, 0] / truth.K[0, 0]),
        "frames_per_s": subject.num_frames / seconds,
    }


def own_figures(subject: Subject, track: TrackData) -> dict[str, Any]:
    """What the tracker says of itself."""
    pose, landmarks = subject.facts("pose"), subject.facts("landmarks")
    turns = Rotation.from_matrix(track.viewmats[1:, :3, :3] @ np.swapaxes(track.viewmats[:-1, :3, :3], 1, 2))
    velocity = np.degrees(turns.as_rotvec())
    return {
        "frames": subject.num_frames,
        "size": subject.width,
        "lost": landmarks["frames_interpolated"],
        "reprojection_px_at_512": pose["reprojection_px_at_512"],
        "flow_error_px_at_512": pose["flow_error_px_at_512"],
        # Second differences of rotation: half of a steady head's are noise.
        "rotation_jitter_deg": float(np.sqrt((np.diff(velocity, axis=0) ** 2).sum(1).mean())),
    }


def on_clip(clip: Path, folder: Path, size: int) -> dict[str, Any]:
    """Prepare one clip in this process; the error's sentence where it is refused."""
    out = folder / clip.stem
    start = time.perf_counter()
    made = not (out / "subject.json").exists()
    try:
        subject = prepare_subject(clip, out, PrepareConfig(size=size))
    except Exception as error:  # a table of clips goes on after a refusal, and says which
        return {"clip": clip.stem, "refused": str(error)}
    seconds = time.perf_counter() - start
    track = subject.track()
    overlays(subject, track, folder / "overlays" / f"{clip.stem}.jpg")
    return {
        "clip": clip.stem,
        **own_figures(subject, track),
        "faces_seen": subject.facts("frames")["faces_seen"],
        "frames_per_s": subject.num_frames / seconds if made else None,
        "seconds": seconds if made else None,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def overlays(subject: Subject, track: TrackData, path: Path, count: int = 8) -> None:
    """Frames spread over the clip, above each its masks' borders, below it the projected mean mesh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = []
    for i in spread(subject.num_frames, count).tolist():
        frame, labels = subject.frame(i), subject.parsing(i)
        masks, mesh = frame.copy(), frame.copy()
        draw_masks(masks, labels)
        camera = track.head_points[i].astype(np.float64) @ track.viewmats[i, :3, :3].T + track.viewmats[i, :3, 3]
        pixels = camera[:, :2] / camera[:, 2:] * np.diag(track.K)[:2] + track.K[:2, 2]
        for x, y in pixels:
            cv2.circle(mesh, (round(float(x)), round(float(y))), 1, (0, 255, 120), -1)
        torso = subject.torso(i)
        layer = torso[..., :3] * (torso[..., 3:] / 255) + np.array([90, 90, 90]) * (1 - torso[..., 3:] / 255)
        columns.append(np.concatenate([masks, mesh, layer.astype(np.uint8)]))
    side = 240
    sheet = np.concatenate([cv2.resize(c, (side, 3 * side), interpolation=cv2.INTER_AREA) for c in columns], 1)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as JSON lines or as a table."""
    if as_json:
        machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        print(json.dumps({"rows": rows, **machine}))
        return
    for row in rows:
        print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    truth = commands.add_parser("truth")
    truth.add_argument("folder", type=Path)
    truth.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    truth.add_argument("--seconds", type=float, default=10.0)
    truth.add_argument("--head-range", type=float, default=20.0)
    clips = commands.add_parser("clips")
    clips.add_argument("folder", type=Path)
    clips.add_argument("clips", type=Path, nargs="+")
    for command in (truth, clips):
        command.add_argument("--size", type=int, default=512)
        command.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.command == "truth":
        config = ActorConfig(size=args.size, plan=plan(args.seconds), head_range_deg=args.head_range)
        show([against_truth(args.folder, replace(config, seed=seed)) for seed in args.seeds], args.json)
    elif len(args.clips) == 1:
        show([on_clip(args.clips[0], args.folder, args.size)], args.json)
    else:
        rows = []
        for clip in args.clips:
            # A process of its own for each clip: peak memory never falls again within one.
            again = [sys.executable, __file__, "clips", str(args.folder), str(clip), "--size", str(args.size), "--json"]
            done = subprocess.run(again, capture_output=True, text=True, check=True)
            rows += json.loads(done.stdout.splitlines()[-1])["rows"]
            print(rows[-1]["clip"], file=sys.stderr, flush=True)
        show(rows, args.json)


if __name__ == "__main__":
    main()
