"""A face that is drawn by numbers, and a detector that reads the numbers off the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ua3dtalk.evaluation.landmark_points import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from ua3dtalk.subject.labels import Label

SIZE = 96
EYES_Y, MOUTH_X, MOUTH_Y = 30.0, 48.0, 68.0


def draw(opening_px: float, width_px: float = 26.0, shift_px: float = 0.0) -> np.ndarray:
    """A textured head whose red mouth opens and widens."""
    y, x = np.mgrid[:SIZE, :SIZE]
    texture = np.stack([90 + 30 * np.sin(x / 5), 80 + 25 * np.cos(y / 4), 70 + 20 * np.sin((x + y) / 6)], -1)
    frame = np.ascontiguousarray(texture.clip(0, 255).astype(np.uint8))
    centre = (round(16 * (MOUTH_X + shift_px)), round(16 * MOUTH_Y))
    axes = (round(16 * width_px / 2), round(16 * (3 + opening_px / 2)))
    cv2.ellipse(frame, centre, axes, 0, 0, 360, (250, 0, 0), -1, cv2.LINE_AA, 4)
    return frame


def parsing() -> np.ndarray:
    labels = np.full((SIZE, SIZE), Label.BACKGROUND, np.uint8)
    cv2.ellipse(labels, (48, 48), (34, 42), 0, 0, 360, int(Label.SKIN), -1)
    labels[88:] = Label.TORSO
    return labels


class RedMouth:
    """Finds the red ellipse by its moments; sees no face where there is no red."""

    name = "red-mouth"
    blendshapes = None

    def detect(self, frame: np.ndarray) -> np.ndarray | None:
        red = np.clip((frame[..., 0].astype(np.float64) - frame[..., 2] - 100) / 100, 0, 1)
        if red.sum() < 20:
            return None
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]] + 0.5
        mx, my = (red * x).sum() / red.sum(), (red * y).sum() / red.sum()
        half_w = 2 * np.sqrt((red * (x - mx) ** 2).sum() / red.sum())
        half_h = 2 * np.sqrt((red * (y - my) ** 2).sum() / red.sum())
        points = np.zeros((478, 3), np.float32)
        angle = np.linspace(np.pi, 3 * np.pi, 21)[:20]
        ring = np.stack([mx + half_w * np.cos(angle), my - half_h * np.sin(angle)], 1)
        points[list(OUTER_LIPS), :2] = ring
        inner = np.stack([mx + 0.8 * half_w * np.cos(angle), my - max(half_h - 3, 0) * np.sin(angle)], 1)
        points[list(INNER_LIPS), :2] = inner
        points[[RIGHT_EYE, LEFT_EYE], :2] = [[28, EYES_Y], [68, EYES_Y]]
        return points

    def close(self) -> None:
        return None


class DrawnFace:
    """What tests need of the drawn face."""

    draw = staticmethod(draw)
    parsing = staticmethod(parsing)
    Detector = RedMouth


@pytest.fixture(scope="session")
def face() -> type[DrawnFace]:
    """The drawn face and its detector."""
    return DrawnFace


@pytest.fixture(scope="session")
def openings_px() -> np.ndarray:
    """Two seconds of speech-like movement, never repeating."""
    t = np.arange(60)
    return 5 + 3 * np.sin(t / 2.3) + 2 * np.sin(t / 5.1 + 1)
