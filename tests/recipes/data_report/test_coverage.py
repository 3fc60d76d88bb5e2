"""Coverage in numbers: faces and angles whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from made_subject import MadeActor

from ua3dtalk.recipes.data_report.coverage import (
    ANGLE_BINS_DEG,
    angles_deg,
    emotion_facts,
    expression_facts,
    expression_signals,
    face_height_px,
    mouth_facts,
    outside_share,
    pose_facts,
    rotation_jitter,
)
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.tracking.topology import mean_face

FPS = 25.0


@pytest.fixture
def face() -> np.ndarray:
    """Ten seconds of the mean face with a little motion, [250, 468, 3]."""
    wobble = np.random.default_rng(3).normal(0, 1e-4, (250, 468, 3))
    return (mean_face().vertices + wobble).astype(np.float32)


def test_the_mouth() -> None:
    opening = np.concatenate([np.full(100, 0.01), np.full(100, 0.12), np.full(50, 0.4)])
    found = mouth_facts(opening, FPS)
    assert found.seconds_by_opening == (4.0, 0.0, 0.0, 4.0, 0.0, 0.0, 2.0)
    assert found.closed_s == 4.0 and found.opening == pytest.approx((0.01, 0.12, 0.4))


def test_blinks_smiles_and_brows_are_counted(face: np.ndarray) -> None:
    calm = expression_facts(expression_signals(face), FPS)
    assert (calm.blinks, calm.smile_s, calm.brows_up_s) == (0, 0.0, 0.0)
    eye = np.linalg.norm(face[0, 33] - face[0, 263])
    for start in (50, 150):  # two blinks of three frames
        for lower, upper in ((159, 145), (158, 153), (160, 144), (386, 374), (385, 380), (387, 373)):
            face[start : start + 3, upper] = face[start : start + 3, lower]
    face[200:225, 61, 0] -= 0.1 * eye  # the corners go apart
    face[200:225, 291, 0] += 0.1 * eye
    face[100:150, [55, 107, 285, 336], 1] += 0.06 * eye
    found = expression_facts(expression_signals(face), FPS)
    assert found.blinks == 2 and found.blinks_per_minute == pytest.approx(12.0)
    assert found.smile_s == pytest.approx(1.0) and found.brows_up_s == pytest.approx(2.0)
    assert found.eyes_shut_share == pytest.approx(6 / 250)


def test_an_open_mouth_is_no_smile(face: np.ndarray) -> None:
    face[200:225, [14, 17, 152], 1] -= 0.03
    assert expression_facts(expression_signals(face), FPS).smile_s == 0.0


def test_jitter_is_noise_and_not_motion() -> None:
    time_s = np.arange(500) / FPS
    turning = np.stack([6 * np.sin(2 * np.pi * f * time_s) for f in (0.3, 0.7, 1.2)], 1)
    assert rotation_jitter(turning) < 0.06
    noise = np.random.default_rng(0).normal(0, 0.2, turning.shape)
    assert rotation_jitter(turning + noise) == pytest.approx(0.2, abs=0.03)
    assert rotation_jitter(turning[:3]) == 0.0


def test_pose(made: MadeActor) -> None:
    angles = angles_deg(made.track())
    truth = np.degrees(made.actor.truth().angles_rad[: len(angles)])
    assert np.abs(angles[:, 1] - truth[:, 0]).max() < 1.0, "yaw to the subject's left"
    found = pose_facts(angles, FPS)
    assert sum(found.seconds_by_yaw) == pytest.approx(len(angles) / FPS) and found.jitter < 0.1
    assert len(found.seconds_by_pitch) == len(ANGLE_BINS_DEG) - 1 and found.yaw[0] < found.yaw[1]


def test_emotions_are_counted_by_label_and_intensity() -> None:
    labels = [
        EmotionSpan(start_s=0.0, end_s=2.0, label="happy", intensity=0.5),
        EmotionSpan(start_s=2.0, end_s=3.0, label="happy"),
        EmotionSpan(start_s=4.0, end_s=5.0, label="happy", intensity=0.5),
        EmotionSpan(start_s=9.0, end_s=12.0, label="sad"),
    ]
    found = emotion_facts(labels, 250, FPS)
    assert found.seconds == {"happy": {"0.5": 3.0, "1": 1.0}, "sad": {"1": 1.0}}
    assert found.unlabelled_s == 5.0 and found.outside_s == 2.0
    assert emotion_facts([], 250, FPS).unlabelled_s == 10.0


def test_the_face_in_the_picture() -> None:
    landmarks = np.zeros((4, 478, 3), np.float32)
    landmarks[:, :468, 1] = np.linspace(20, 120, 468)
    landmarks[..., 0] = 50
    assert face_height_px(landmarks) == pytest.approx(100.0) and outside_share(landmarks, 128, 128) == 0.0
    landmarks[0, 7, 0] = 129
    assert outside_share(landmarks, 128, 128) == 0.25
