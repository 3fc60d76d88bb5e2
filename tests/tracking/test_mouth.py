"""The inner mouth against the synthetic actor's true labels."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import Actor
from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.mouth import find_inner_mouth, inner_contour
from ua3dtalk.tracking.regions import inner_mouth
from ua3dtalk.tracking.topology import INNER_LIPS


@pytest.fixture(scope="module")
def open_mouths() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Frames, true landmarks, true masks."""
    actor = Actor(ActorConfig(size=384, plan=(Cue(label="happy", intensity=0.8, seconds=4.0),)))
    truth = actor.truth()
    widest = np.argsort(-truth.opening)[::4][:6]
    points = np.zeros((actor.num_frames, 478, 3))
    points[:, :468, :2] = truth.projected()
    return [(actor.render(int(t)), points[t], actor.render_labels(int(t)) == Label.INNER_MOUTH) for t in widest]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_ring_that_lies_on_the_lips_is_moved_to_their_edge(
    open_mouths: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    ring, found = [], []
    for frame, points, true in open_mouths:
        wide = points.copy()
        middle = wide[list(INNER_LIPS), 1].mean()
        wide[list(INNER_LIPS), 1] += 2.0 * np.sign(wide[list(INNER_LIPS), 1] - middle)
        ring.append(overlap(inner_mouth(frame.shape, wide), true))
        found.append(overlap(find_inner_mouth(frame, wide), true))
    assert np.mean(found) > np.mean(ring) + 0.05, f"{np.mean(ring):.3f} -> {np.mean(found):.3f}"


def test_shut_lips_show_nothing(open_mouths: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    frame, points, _ = open_mouths[0]
    shut = points.copy()
    shut[list(INNER_LIPS), 1] = points[13, 1]
    assert not find_inner_mouth(frame, shut).any()


def test_a_mouth_at_the_border_of_the_picture_does_no_harm(
    open_mouths: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    frame, points, _ = open_mouths[0]
    for shift in ([0, 170], [250, 0], [0, 4000]):
        moved = points.copy()
        moved[:, :2] += shift
        assert find_inner_mouth(frame, moved).shape == frame.shape[:2]
        assert np.isfinite(inner_contour(frame, moved)).all()
