"""Several videos must show one person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.media.video import VideoReader
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.same_person import FRAMES, face_texture, frames_to_compare, likeness, stranger


@pytest.fixture(scope="module")
def textures(shared: Path) -> dict[str, np.ndarray]:
    found = {}
    with FaceMeshLandmarks(static=True) as model:
        for name, video, start_s in (
            ("andrew", "andrew1_25s_256.mp4", 0.0),
            ("andrew later", "andrew1_25s_256.mp4", 18.0),
            ("feifei", "feifei2_15s_256.mp4", 0.0),
            ("happy", "actor_happy_8s_256_noaudio.mp4", 0.0),
            ("angry", "actor_angry_2s_256_noaudio.mp4", 0.0),
        ):
            frames = list(VideoReader(shared / "data" / "clips" / video, start_s, 1.4))[::8]
            found[name] = np.array([face_texture(f, p) for f in frames if (p := model.detect(f)) is not None])
    return found


def test_one_person_is_alike_and_two_are_not(textures: dict[str, np.ndarray]) -> None:
    assert likeness(textures["andrew"], textures["andrew later"]) > 0.7
    assert likeness(textures["happy"], textures["angry"]) > 0.55
    assert max(likeness(textures["andrew"], textures[name]) for name in ("feifei", "happy", "angry")) < 0.48


def test_the_stranger_is_named(textures: dict[str, np.ndarray]) -> None:
    assert stranger([textures["andrew"], textures["andrew later"]]) is None
    assert stranger([textures["happy"], textures["angry"]]) is None
    odd = stranger([textures["andrew"], textures["feifei"], textures["andrew later"]])
    assert odd is not None and odd[0] == 1
    assert stranger([textures["angry"], textures["feifei"]]) is not None


def test_light_does_not_count(shared: Path) -> None:
    frame = next(iter(VideoReader(shared / "data" / "clips" / "lieu_60s_256.mp4")))
    with FaceMeshLandmarks(static=True) as model:
        points = model.detect(frame)
    assert points is not None
    ramp = np.linspace(0.5, 1.0, 256)[None, :, None]
    a, b = face_texture(frame, points), face_texture((frame * ramp).astype(np.uint8), points)
    assert float(a @ b) > 0.95 and abs(float(a.mean())) < 1e-6


def test_frames_without_a_face_are_not_compared() -> None:
    valid = np.ones(200, bool)
    valid[100:140] = False
    frames = frames_to_compare(valid, range(90, 200))
    assert len(frames) == FRAMES and valid[frames].all() and frames[0] == 90 and frames[-1] == 199
