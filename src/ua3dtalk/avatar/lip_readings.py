"""What sound, content and mouth each say of the lips in a moment: three witnesses who can be compared.

The content prior knows which lips go with which phones, whoever speaks. Heard again in the sound's phones, its answer
must agree with the content stream, and both with the mouth that was asked for. Nothing of that must be learnt from the
subject but how its own mouth follows: ten numbers for each coefficient, which twenty seconds of video give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import uniform_filter1d

from ua3dtalk.priors.content import FEATURE_COLUMNS, FEATURE_SHIFTS_S, ContentPrior, voice_activity
from ua3dtalk.subject.speech_data import SpeechFeatures

HEARD, SAID, SHOWN = "audio", "content", "lower"
"""The witnesses: lips heard in the sound, lips that the content stream says, lips that the mouth is given."""
WINDOW = 31
"""Frames that readings are compared over: a fifth of a second more than one second tells false from true on 20 s."""
STILL = 0.1
"""Movement below this share of the usual says nothing for or against: silence agrees with silence."""
_RIDGE = 10.0
_BLOCK, _MARGIN = 3000, 16
"""Frames that are heard at once, so that memory does not grow with the speech, and what is heard around them."""
_NOW = slice(
    FEATURE_SHIFTS_S.index(0.0) * len(FEATURE_COLUMNS), (FEATURE_SHIFTS_S.index(0.0) + 1) * len(FEATURE_COLUMNS)
)


def hear(windows: Float32[np.ndarray, "t 42 16"], prior: ContentPrior) -> Float32[np.ndarray, "t 64"]:
    """The content stream that a sound's phones alone give; the loudness, which a stream does not hold, is left out.

    On clean speech its nine lips of the present moment correlate with those of the content stream by .70 to .98.
    """
    phones, parts = prior.by_phones(), []
    for low in range(0, len(windows), _BLOCK):
        first, stop = max(0, low - _MARGIN), min(low + _BLOCK, len(windows))
        speech = SpeechFeatures.from_windows(windows[first : stop + _MARGIN], prior.encoder)
        around = min(stop + _MARGIN, len(windows)) - first
        parts.append(phones.features(speech, voice_activity(speech, around))[low - first : stop - first])
    return np.concatenate(parts)


@dataclass(frozen=True)
class LipReader:
    """Turns each witness's lips into one person's lower face, and compares them."""

    weights: Float64[np.ndarray, "10 13"]
    """From nine lips of an average speaker and a constant to the lower face."""
    usual: Mapping[str, float]
    """How far each witness's reading usually moves within a window: root mean square over coefficients."""

    @classmethod
    def fit(cls, rows: Mapping[str, Float64[np.ndarray, "t _"]], frames: np.ndarray) -> LipReader:
        """Learn from some frames.

        Args:
            rows: By witness: content features of HEARD and SAID, as far as they are there; the lower face of SHOWN.
            frames: Which.
        """
        source = rows.get(SAID, rows.get(HEARD))
        if source is None:
            return cls(np.zeros((len(FEATURE_COLUMNS) + 1, rows[SHOWN].shape[1])), {})
        x = _with_constant(source)
        gram = x[frames].T @ x[frames] + _RIDGE * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x[frames].T @ rows[SHOWN][frames])
        readings = {name: _moves(row if name == SHOWN else _with_constant(row) @ weights) for name, row in rows.items()}
        usual = {name: float(np.sqrt(np.square(moves[frames]).mean()) + 1e-6) for name, moves in readings.items()}
        return cls(weights, usual)

    def odd_ones(self, rows: Mapping[str, Float64[np.ndarray, "t _"]]) -> dict[str, Float64[np.ndarray, " t"]]:
        """How far the sound and the content stream are each the odd one out around each frame.

        Args:
            rows: As in ``fit``.

        Returns:
            Of each that is there and can be compared, the lesser of its disagreements with the others: one minus the
            correlation of two readings. 0 where it agrees with one of them or where all is still, about 1 where it has
            nothing to do with either, 2 at most. The mouth is drawn from others' words: it is a witness only.
        """
        readings = {
            name: _moves(row if name == SHOWN else _with_constant(row) @ self.weights) / self.usual[name]
            for name, row in rows.items()
            if name in self.usual
        }
        pairs = {
            frozenset(pair): _disagreement(readings[pair[0]], readings[pair[1]]) for pair in combinations(readings, 2)
        }
        return {
            name: np.min([apart for pair, apart in pairs.items() if name in pair], axis=0)
            for name in readings
            if name != SHOWN and len(readings) > 1
        }


def _with_constant(features: np.ndarray) -> np.ndarray:
    """Nine lips of the present moment out of content features, and a one."""
    return np.concatenate([features[:, _NOW], np.ones((len(features), 1))], 1)


def _moves(rows: np.ndarray) -> np.ndarray:
    """Rows about their mean over a window."""
    return rows - uniform_filter1d(rows, WINDOW, axis=0, mode="nearest")


def _disagreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    together, alone_a, alone_b = (
        uniform_filter1d(values.mean(1), WINDOW, mode="nearest") for values in (a * b, a * a, b * b)
    )
    return 1 - (together + STILL) / (np.sqrt(np.maximum(alone_a * alone_b, 0)) + STILL)
