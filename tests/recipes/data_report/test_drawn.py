"""A drawn face is told from real ones, by its proportions or by its outlines."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from made_subject import MadeActor

from ua3dtalk.media.video import VideoReader
from ua3dtalk.recipes.data_report.cautions import DRAWN_OUTLINES, DRAWN_SIZE
from ua3dtalk.recipes.data_report.drawn import face_size, outline_strength
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks


def seen(path: Path, detector: FaceMeshLandmarks, cartoon: bool = False) -> tuple[float, float]:
    """Size and outlines of the face at the beginning of a clip."""
    frames = [f[: f.shape[1]] for f in VideoReader(path, max_seconds=0.24)][::3]
    frames = [cv2.resize(f, (512, 512), interpolation=cv2.INTER_AREA) if len(f) > 512 else f for f in frames]
    frames = [drawn_over(f) if cartoon else f for f in frames]
    points = [found for found in map(detector.detect, frames) if found is not None]
    outlines = [outline_strength(f, p) for f, p in zip(frames, points, strict=False)]
    return face_size(np.stack(points)), float(np.median(outlines))


def drawn_over(frame: np.ndarray) -> np.ndarray:
    """A photograph as a cartoon: flat colours, black lines."""
    flat = cv2.pyrMeanShiftFiltering(frame, 8, 20)
    grey = cv2.medianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 5)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 6)
    flat[lines == 0] //= 5
    return flat


@pytest.mark.parametrize("name", ["lieu_60s_256", "aoc2_5s_590", "glasses_20s_512x480", "mead_happy_6s_256_noaudio"])
def test_real_faces_are_real(name: str, shared: Path) -> None:
    with FaceMeshLandmarks(static=True) as detector:
        size, outlines = seen(shared / "data" / "clips" / f"{name}.mp4", detector)
    assert size > DRAWN_SIZE + 0.03 and outlines < DRAWN_OUTLINES - 4


def test_drawn_faces_are_not(shared: Path) -> None:
    clips = shared / "data" / "clips"
    with FaceMeshLandmarks(static=True, min_confidence=0.3) as detector:
        size, _ = seen(clips / "cartoon_11s_704x1216_noaudio.mp4", detector)
        real_size, outlines = seen(clips / "lieu_60s_256.mp4", detector, cartoon=True)
    assert size < DRAWN_SIZE - 0.03
    assert outlines > DRAWN_OUTLINES + 4 and real_size > DRAWN_SIZE


def test_our_own_actor_passes(made: MadeActor) -> None:
    landmarks = made.track().landmarks
    assert face_size(landmarks) > DRAWN_SIZE
    assert outline_strength(made.frames[0], landmarks[0]) < DRAWN_OUTLINES


def test_a_face_out_of_the_picture_has_no_outlines(made: MadeActor) -> None:
    away = made.track().landmarks[0] + np.float32(500)
    assert outline_strength(made.frames[0], away) == 0.0
