"""Temporal jitter: how much the face trembles beside the real video's."""

from __future__ import annotations

from collections import deque

import numpy as np
from jaxtyping import Float64

from ua3dtalk.evaluation.landmark_points import LEFT_EYE, LIPS, RIGHT_EYE
from ua3dtalk.evaluation.measure import Definition, Measure, Moment
from ua3dtalk.tracking.topology import rigid_vertices

HEAD = Definition(
    key="jitter_head",
    title="head jitter, ratio",
    unit="",
    ideal="one",
    meaning="Root mean square of the second difference over time (x[t-1] - 2 x[t] + x[t+1]) of the face's rigid points "
    "in the picture, over the eye-corner distance, divided by the same of the real video. Above 1 the head trembles.",
)
LIPS_RATIO = Definition(
    key="jitter_lips",
    title="lip jitter, ratio",
    unit="",
    ideal="one",
    meaning="The same of the 40 lip points about their centre. Above 1 the lips tremble, below 1 they are sluggish.",
)


def second_difference(window: Float64[np.ndarray, "3 p 2"]) -> float:
    """Mean square of x[t−1] − 2 x[t] + x[t+1] over points and both coordinates; a steady movement gives 0."""
    return float(np.mean(np.square(window[0] - 2 * window[1] + window[2])))


class JitterMeter:
    """Both ratios, over the triples of neighbouring frames in which both faces were found."""

    definitions = (HEAD, LIPS_RATIO)

    def __init__(self) -> None:
        self._windows: dict[str, deque[np.ndarray]] = {
            f"{part}.{which}": deque(maxlen=3) for part in ("head", "lips") for which in ("row", "real")
        }
        self._sums = dict.fromkeys(self._windows, 0.0)
        self._triples = 0

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.landmarks is None or moment.real_landmarks is None:
            for window in self._windows.values():
                window.clear()
            return
        yardstick = float(
            np.linalg.norm(_flat(moment.real_landmarks)[RIGHT_EYE] - _flat(moment.real_landmarks)[LEFT_EYE])
        )
        for which, landmarks in (("row", moment.landmarks), ("real", moment.real_landmarks)):
            points = _flat(landmarks) / max(yardstick, 1e-6)
            lips = points[list(LIPS)]
            self._windows[f"head.{which}"].append(points[rigid_vertices()])
            self._windows[f"lips.{which}"].append(lips - lips.mean(0))
        if len(self._windows["head.row"]) == 3:
            self._triples += 1
            for name, window in self._windows.items():
                self._sums[name] += second_difference(np.stack(window))

    def results(self) -> dict[str, Measure]:
        """Ratio of the roots; None where the real face never moved or too little was seen."""
        return {d.key: self._ratio(part) for d, part in ((HEAD, "head"), (LIPS_RATIO, "lips"))}

    def _ratio(self, part: str) -> Measure:
        real = self._sums[f"{part}.real"]
        value = float(np.sqrt(self._sums[f"{part}.row"] / real)) if self._triples and real > 0 else None
        return Measure(value=value, details={"triples": self._triples})


def _flat(landmarks: np.ndarray) -> np.ndarray:
    return landmarks[:, :2].astype(np.float64)
