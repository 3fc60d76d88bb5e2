"""Action-unit error: how far named facial movements are from the real ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float64

from ua3dtalk.evaluation.measure import Definition, Measure, Moment
from ua3dtalk.subject.face_signals import raw_signals

UPPER = ("AU01", "AU02", "AU04", "AU05", "AU07", "AU45")
LOWER = ("AU12", "AU18", "AU20", "AU25", "AU26")
LEAST_RANGE = 0.005
"""An action unit that moves less than this in the real video is measured in this unit, eye distances."""

_HOW = (
    "from landmarks, in units of the real clip's own range (median to 97.5th percentile): mean squared difference over "
    "frames, summed over the units. Not on OpenFace's scale"
)
UPPER_ERROR = Definition(
    key="aue_upper",
    title="action-unit error, upper face",
    unit="",
    ideal="lower",
    meaning=f"{', '.join(UPPER)} {_HOW}. In the driven row the real upper-face signals drive the picture: "
    "it is close to an autoencoding score there; audio-only is the honest row.",
    source="sum of mean squared errors as in TalkingGaussian (ECCV 2024), with our own signals for OpenFace's",
)
LOWER_ERROR = Definition(
    key="aue_lower",
    title="action-unit error, lower face",
    unit="",
    ideal="lower",
    meaning=f"{', '.join(LOWER)} {_HOW}.",
    source=UPPER_ERROR.source,
)


def unit_errors(
    rendered: Mapping[str, Float[np.ndarray, " t"]], real: Mapping[str, Float[np.ndarray, " t"]]
) -> dict[str, float]:
    """Mean squared difference of each action unit, in units of its range in the real clip.

    Args:
        rendered: Signal per frame by name, eye distances.
        real: The same of the real video.
    """
    errors = {}
    for name, truth in real.items():
        middle, strong = np.percentile(truth, [50, 97.5])
        scale = max(float(strong - middle), LEAST_RANGE)
        errors[name] = float(np.mean(np.square((rendered[name] - truth) / scale)))
    return errors


class ActionUnitMeter:
    """Both errors, over the frames in which both faces were found."""

    definitions = (UPPER_ERROR, LOWER_ERROR)

    def __init__(self) -> None:
        self._rendered: list[np.ndarray] = []
        self._real: list[np.ndarray] = []

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.points is not None and moment.real_points is not None:
            self._rendered.append(signals_of(moment.points))
            self._real.append(signals_of(moment.real_points))

    def results(self) -> dict[str, Measure]:
        """Sums over the upper and the lower face; the details name every unit."""
        if not self._real:
            return {d.key: Measure(value=None) for d in self.definitions}
        errors = unit_errors(_by_name(self._rendered), _by_name(self._real))
        return {
            definition.key: Measure(
                value=sum(errors[name] for name in units),
                details={"frames": len(self._real), **{name: round(errors[name], 5) for name in units}},
            )
            for definition, units in ((UPPER_ERROR, UPPER), (LOWER_ERROR, LOWER))
        }


def _by_name(frames: list[np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip(UPPER + LOWER, np.array(frames).T, strict=True))


def signals_of(points: Float[np.ndarray, "478 3"]) -> Float64[np.ndarray, " 11"]:
    """The action units of one face in the order of ``UPPER + LOWER``, eye distances."""
    signals = raw_signals(points[None])
    return np.array([float(signals[name][0]) for name in UPPER + LOWER])
