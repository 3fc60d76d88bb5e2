"""Lip distance without centring: sees lips in the wrong place, to which the field's LMD is blind."""

from __future__ import annotations

import numpy as np

from ua3dtalk.evaluation.lips import LipShape, lip_shape
from ua3dtalk.evaluation.measure import Definition, Measure, Moment

UNCENTRED = Definition(
    key="lmd_uncentred_px",
    title="LMD without centring",
    unit="px",
    ideal="lower",
    meaning="Mean distance of 40 lip points where they lie in the picture. LMD itself centres both outlines first, as "
    "the field does, and does not see lips in the wrong place; this does.",
)


def lip_offset_px(rendered: LipShape, real: LipShape) -> float:
    """Mean Euclidean distance of the 40 lip points, pixels; a shift of all lips by d gives d."""
    return float(np.linalg.norm(rendered.points - real.points, axis=1).mean())


class LipPositionMeter:
    """Mean over the frames in which both faces were found."""

    definitions = (UNCENTRED,)

    def __init__(self) -> None:
        self._sum, self._frames = 0.0, 0

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.landmarks is not None and moment.real_landmarks is not None:
            self._sum += lip_offset_px(lip_shape(moment.landmarks), lip_shape(moment.real_landmarks))
            self._frames += 1

    def results(self) -> dict[str, Measure]:
        """The mean; None where no frame shows both faces."""
        value = self._sum / self._frames if self._frames else None
        return {UNCENTRED.key: Measure(value=value, details={"frames": self._frames})}
