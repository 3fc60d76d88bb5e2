"""Repeats, freezes, black and cuts, on numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.recipes.data_report.measure import video_facts
from ua3dtalk.recipes.data_report.sequence import (
    Cut,
    Watched,
    dark_stretches,
    find_cuts,
    freezes,
    longest_between,
    repeats,
)

T = 60


def scene(seed: int) -> np.ndarray:
    """A small picture of coarse patches."""
    patches = np.random.default_rng(seed).integers(30, 226, (4, 4, 3))
    return np.kron(patches, np.ones((4, 4, 1))).astype(np.float64)


def watched(pictures: np.ndarray, shift: np.ndarray | None = None, face_change: np.ndarray | None = None) -> Watched:
    count = len(pictures)
    return Watched(
        face_change=(np.full(count - 1, 20.0) if face_change is None else face_change).astype(np.float32),
        brightness=pictures.mean((1, 2, 3)).astype(np.float32),
        face_brightness=pictures.mean((1, 2, 3)).astype(np.float32),
        thumbs=pictures.round().clip(0, 255).astype(np.uint8),
        shift=(np.full(count - 1, 0.01) if shift is None else shift).astype(np.float32),
    )


@pytest.fixture
def still(rng: np.random.Generator) -> np.ndarray:
    """A scene with a little noise, [T, 16, 16, 3]."""
    return scene(1) + rng.normal(0, 1, (T, 16, 16, 3))


def test_a_steady_scene_has_neither_cut_nor_freeze(still: np.ndarray) -> None:
    found = watched(still)
    assert find_cuts(found) == [] and freezes(found) == [] and dark_stretches(found) == []


def test_a_freeze_is_five_repeats(still: np.ndarray) -> None:
    change = np.full(T - 1, 20.0)
    change[10:14], change[30:40] = 0.0, 0.5
    found = watched(still, face_change=change)
    assert repeats(found).sum() == 14
    assert freezes(found) == [(31, 41)], "frames 31 to 40 repeat frame 30; four repeats are none"


def test_a_cut_to_another_scene(still: np.ndarray) -> None:
    still[25:] += scene(2) - scene(1)
    found = find_cuts(watched(still))
    assert found == [Cut(frame=25, same_scene=False)]
    assert longest_between(found, T) == (25, T) and longest_between([], T) == (0, T)


def test_there_and_back(still: np.ndarray) -> None:
    still[25:40] += scene(2) - scene(1)
    cuts = find_cuts(watched(still))
    assert [cut.frame for cut in cuts] == [25, 40] and longest_between(cuts, T) == (0, 25)


def test_light_that_is_switched_on_is_no_cut(still: np.ndarray) -> None:
    still[25:] *= 0.5
    assert find_cuts(watched(still)) == []


def test_a_flash_is_no_cut(still: np.ndarray) -> None:
    still[25] = 255.0
    assert find_cuts(watched(still)) == []


def test_a_camera_that_pans_is_no_cut(rng: np.random.Generator) -> None:
    wide = np.concatenate([scene(k) for k in range(6)], 1)
    wide = np.stack([np.repeat(row, 8, 0) for row in wide])  # [16, 8 * 96, 3]
    pictures = np.stack([wide[:, 8 * i : 8 * i + 128].reshape(16, 16, 8, 3).mean(2) for i in range(T)])
    assert find_cuts(watched(pictures)) == []


def test_a_head_that_jumps(still: np.ndarray) -> None:
    shift = np.full(T - 1, 0.01)
    shift[29] = 0.3
    assert find_cuts(watched(still, shift)) == [Cut(frame=30, same_scene=True)]
    shift[28:31] = 0.2, 0.3, 0.2
    assert find_cuts(watched(still, shift)) == [], "a quick turn has quick frames around it"


def test_black_is_black_and_no_cut(still: np.ndarray) -> None:
    still[20:30] = 2.0
    change = np.full(T - 1, 20.0)
    change[20:29] = 0.0
    found = watched(still, face_change=change)
    assert dark_stretches(found) == [(20, 30)]
    assert find_cuts(found) == [] and freezes(found) == []


def test_another_scene_behind_black_is_a_cut(still: np.ndarray) -> None:
    still[20:30] = 2.0
    still[30:] += scene(2) - scene(1)
    assert find_cuts(watched(still)) == [Cut(frame=30, same_scene=False)]


def test_a_joint_is_no_cut_but_another_view_is_told(still: np.ndarray) -> None:
    turned = still.copy()
    still[25:] += scene(2) - scene(1)
    facts = video_facts(watched(still), 0.0, 25.0, (25,))
    assert facts.scene_cuts == () and facts.jumps == () and facts.joints == facts.other_views == (1.0,)
    assert facts.longest_scene == (0.0, T / 25)
    turned[25:] += 0.45 * (scene(2) - scene(1))  # much moves before the same wall
    assert video_facts(watched(turned), 0.0, 25.0).scene_cuts == (1.0,)
    assert video_facts(watched(turned), 0.0, 25.0, (25,)).other_views == ()
