"""Neck-seam flicker: how restless the picture is where head and neck meet, beside the real video."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from ua3dtalk.evaluation.landmark_points import LEFT_EYE, RIGHT_EYE
from ua3dtalk.evaluation.measure import Definition, Measure, Moment

SEAM = Definition(
    key="seam_flicker",
    title="neck-seam flicker, ratio",
    unit="",
    ideal="one",
    meaning="Mean absolute second difference over time of the brightness in a band along the jaw (from just inside it "
    "to a quarter of the eye-corner distance below), divided by the same of the real video. Above 1 the seam flickers.",
)
JAW = (132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361)
"""MediaPipe points of the jaw's outline between the ears, in order."""
BAND_INSIDE, BAND_OUTSIDE = 0.06, 0.25
"""Reach of the band above and below the jaw, over the eye-corner distance."""


def seam_band(landmarks: Float32[np.ndarray, "478 3"], shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The band along the jaw of one face.

    Args:
        landmarks: Face points, pixels.
        shape: Height and width of the frame.
    """
    flat = landmarks[:, :2].astype(np.float64)
    yardstick = float(np.linalg.norm(flat[RIGHT_EYE] - flat[LEFT_EYE]))
    down = down_the_face(flat)
    jaw = flat[list(JAW)]
    ring = np.concatenate([jaw - down * BAND_INSIDE * yardstick, (jaw + down * BAND_OUTSIDE * yardstick)[::-1]])
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(ring - 0.5).astype(np.int32)], 1)
    return mask > 0


def flicker(window: Float32[np.ndarray, "3 h w"], band: Bool[np.ndarray, "h w"]) -> float:
    """Mean |I[t−1] − 2 I[t] + I[t+1]| of the brightness (0..1) in the band; steady change gives 0."""
    return float(np.abs(window[0] - 2 * window[1] + window[2])[band].mean()) if band.any() else 0.0


class SeamMeter:
    """The ratio over the triples of neighbouring frames whose real face was found."""

    definitions = (SEAM,)

    def __init__(self) -> None:
        self._row: deque[np.ndarray] = deque(maxlen=3)
        self._real: deque[np.ndarray] = deque(maxlen=3)
        self._bands: deque[np.ndarray] = deque(maxlen=3)
        self._sums = [0.0, 0.0]
        self._triples = 0

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.real_landmarks is None:
            for window in (self._row, self._real, self._bands):
                window.clear()
            return
        self._row.append(_brightness(moment.picture))
        self._real.append(_brightness(moment.real))
        self._bands.append(seam_band(moment.real_landmarks, moment.real.shape[:2]))
        if len(self._row) == 3:
            band = self._bands[1]
            self._triples += 1
            self._sums[0] += flicker(np.stack(self._row), band)
            self._sums[1] += flicker(np.stack(self._real), band)

    def results(self) -> dict[str, Measure]:
        """The ratio; None where the real band never changes or too little was seen."""
        row, real = self._sums
        value = row / real if self._triples and real > 0 else None
        return {SEAM.key: Measure(value=value, details={"triples": self._triples})}


def down_the_face(flat: np.ndarray) -> np.ndarray:
    """Unit vector down the face: across the line of the eyes, towards the chin."""
    eyes = flat[LEFT_EYE] - flat[RIGHT_EYE]
    down = np.array([-eyes[1], eyes[0]]) / max(float(np.linalg.norm(eyes)), 1e-6)
    chin = flat[JAW[len(JAW) // 2]] - (flat[LEFT_EYE] + flat[RIGHT_EYE]) / 2
    return down if down @ chin >= 0 else -down


def _brightness(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
