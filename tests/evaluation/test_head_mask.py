"""The head of an unprepared frame: above the jaw and inside the person, whatever the head's roll."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.evaluation.head_mask import head_labels
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.tracking.topology import CHIN, mean_face

SIZE = 160


def face(roll_deg: float = 0.0) -> np.ndarray:
    points = np.zeros((478, 3), np.float32)
    points[:468] = mean_face().vertices * [450, -450, 450]
    angle = np.deg2rad(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[:, :2] = points[:, :2] @ turn.T + SIZE / 2
    return points


def person() -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[10:, 30:130] = 1
    return mask


def test_head_ends_at_the_jaw_and_at_the_person() -> None:
    landmarks = face()
    labels = head_labels(person(), landmarks)
    head = np.isin(labels, HEAD_LABELS)
    x, y = landmarks[CHIN, :2].astype(int)
    assert head[y - 4, x] and not head[y + 4, x], "the chin is head, the neck is not"
    assert labels[y + 8, x] == Label.TORSO
    assert head[15, 80] and not head[5, 80], "hair up to where the person ends"
    assert not head[15, 10] and labels[15, 10] == Label.BACKGROUND


@pytest.mark.parametrize("roll_deg", [-25.0, 25.0])
def test_roll_turns_the_border_with_the_face(roll_deg: float) -> None:
    everywhere = np.ones((SIZE, SIZE), np.float32)
    landmarks = face(roll_deg)
    head = np.isin(head_labels(everywhere, landmarks), HEAD_LABELS)
    chin = landmarks[CHIN, :2]
    down = (chin - SIZE / 2) / np.linalg.norm(chin - SIZE / 2)
    inside, outside = (chin - 4 * down).astype(int), (chin + 5 * down).astype(int)
    assert head[inside[1], inside[0]] and not head[outside[1], outside[0]]


def test_without_a_face_nothing_is_head() -> None:
    assert not np.isin(head_labels(person(), None), HEAD_LABELS).any()
