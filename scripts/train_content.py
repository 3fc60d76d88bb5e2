"""Train the content prior that comes with the package: ``python scripts/train_content.py CLIPS... [--out FILE]``.

Landmarks come from the project's tracker; heads are made frontal by a similarity fit of the face above the mouth.
Clips with names that begin with one of ``--exclude`` are left out: the benchmarks' speakers must not be known.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.video import VideoReader
from ua3dtalk.priors.content import SHIPPED
from ua3dtalk.priors.content_training import ContentClip, train_content
from ua3dtalk.priors.lip_targets import LIP_POINTS, lip_shapes
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks

BENCHMARKS = ("lieu", "andrew", "hdtf_aoc", "aoc", "obama")
UNFIT = ("emotional", "glasses_20s", "fullbody", "cartoon", "mead_sad", "mead_disgusted")
"""Music, near silence, faces too small or drawn, sound tracks that are all zeros."""
SAME_SPEAKER = {"grid_pwij3p": "grid_id2_vcd_swwp2s"}
RIGID_ABOVE = 0.35  # of the face's height: everything above the upper lip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--exclude", nargs="*", default=list(BENCHMARKS + UNFIT))
    args = parser.parse_args()
    used = [p for p in args.clips if not p.name.startswith(tuple(args.exclude)) and "noaudio" not in p.name]
    prior = train_content([clip for path in used if (clip := load_clip(path)) is not None], args.out)
    for row in prior.facts["clips"]:
        sys.stdout.write(f"{row}\n")
    sys.stdout.write(f"{ {k: v for k, v in prior.facts.items() if k != 'clips'} }\n")


def load_clip(path: Path) -> ContentClip | None:
    """Lips of a clip at 25 fps and its sound; None where the face is lost in more than a tenth of the frames."""
    found: list[np.ndarray | None] = []
    with FaceMeshLandmarks() as landmarks:
        for frame in VideoReader(path):
            points = landmarks.detect(frame)
            found.append(None if points is None else points[:468])
    seen = [i for i, points in enumerate(found) if points is not None]
    if len(seen) < 0.9 * len(found):
        return None
    points = np.stack([p for p in found if p is not None])
    shapes = lip_shapes(frontal(points))
    shapes = np.stack([np.interp(np.arange(len(found)), seen, column) for column in shapes.T], axis=1)
    audio, _ = read_audio(path)
    speaker = SAME_SPEAKER.get(path.stem, path.stem)
    return ContentClip(name=path.stem, speaker=speaker, audio=audio, shapes=shapes.astype(np.float32))


def frontal(points: np.ndarray) -> np.ndarray:
    """Faces aligned to the clip's own most frontal pose by scale, rotation and shift of the upper face; y up."""
    points = points.astype(np.float64) * [1, -1, -1]
    reference = points[np.abs(yaw(points)).argmin()]
    heights = reference[:, 1]
    upper = heights > heights.min() + (1 - RIGID_ABOVE) * np.ptp(heights) * 0.7
    upper[list(LIP_POINTS)] = False
    for _ in range(2):
        aligned = np.stack([fit(frame, reference, upper) for frame in points])
        reference = np.median(aligned, axis=0)
    return aligned


def yaw(points: np.ndarray) -> np.ndarray:
    """How far the nose tip is from the middle of the cheeks, in face widths."""
    left, right, nose = points[:, 234, 0], points[:, 454, 0], points[:, 1, 0]
    return (nose - (left + right) / 2) / np.maximum(np.abs(right - left), 1e-6)


def fit(frame: np.ndarray, reference: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Least-squares similarity (Umeyama) of the used points, applied to all."""
    source, target = frame[used], reference[used]
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * sign).sum() / (a**2).sum()
    return scale * (frame - source.mean(axis=0)) @ (u * sign) @ vt + target.mean(axis=0)


if __name__ == "__main__":
    main()
