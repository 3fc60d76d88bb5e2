"""Long speech in short: memory and open files stay, sound and picture end in step; see ``benchmarks/long_runs.py``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.render.numba_backend import NumbaRasterizer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
REPEATS = 40
LEAK_MB = 64 * 64 * 3 / 2**20
"""One picture: a leak of one for each frame is seen."""


@pytest.fixture(scope="module")
def runs(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("benchmarks/long_runs.py")


@pytest.fixture(scope="module")
def avatar(small_avatar: Path) -> Avatar:
    return load_avatar(small_avatar / "avatar", NumbaRasterizer(), torch.device("cpu"))


def test_memory_and_files_stay_and_the_end_is_in_step(
    runs: ModuleType, avatar: Avatar, small_avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SETTLED", 0.6)  # short runs take memory until the second rendering
    speech = runs.whole_frames(read_audio(small_avatar / "speech.wav")[0], 1.0)
    found = runs.simulate(avatar, speech, REPEATS, REPEATS // 2, tmp_path / "long.mp4")
    assert found["open_files"]["first"] == found["open_files"]["last"] == found["open_files"]["most"]
    grown = found["memory_mb"]["last"] - found["memory_mb"]["first"]
    assert grown < 0.2 * REPEATS * 25 * LEAK_MB
    end = found["at_the_end"]
    assert end["frames"] == REPEATS * 25 and end["video_s"] == pytest.approx(REPEATS, abs=1e-3)
    assert abs(end["audio_s"] - end["video_s"]) < 0.07  # one AAC frame
    assert abs(end["sound_lag_ms"]) < 1 and end["picture_lag_frames"] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.mp4"]


def test_a_step_between_sound_and_picture_is_seen(runs: ModuleType, tmp_path: Path, rng: np.random.Generator) -> None:
    speech = runs.whole_frames(0.2 * rng.normal(size=16000 * 8).clip(-1, 1), None)
    pictures = [rng.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(200)]
    late = np.concatenate([np.zeros(1600, np.float32), speech])[: len(speech)]
    with VideoWriter(tmp_path / "late.mp4", 25, (32, 32), late) as out:
        for i in range(200):
            out.write(pictures[max(i - 2, 0)])
    assert runs.sound_lag_ms(tmp_path / "late.mp4", speech, 8.0) == pytest.approx(100, abs=1)
    assert runs.picture_lag(tmp_path / "late.mp4", pictures, 8.0) == 2
