"""What to doubt in a speech before anything is drawn: noise in the sound, and streams unlike those of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64
from scipy.ndimage import percentile_filter, uniform_filter1d

from ua3dtalk.avatar.familiarity import Familiarity, Judgement
from ua3dtalk.core.errors import UserError
from ua3dtalk.synthesis.drive import Drive

NOISY_DB = 20.0
"""Speech less than this above the noise is noisy: clean recordings had 32 dB and more, white noise at 10 dB gave 16."""
OUTSIDE = 1.0
"""A frame stranger than every frame of the calibration is outside of what was seen."""
SMOOTH_FRAMES = 13
_FLOOR_WINDOW = 101
_FLOOR_PERCENT, _SPEECH_PERCENT = 5, 90
_POSE = ("pose", "pose among its neighbours")
_NOISY, _OUTSIDE_POSE, _ODD_FACE = (
    "noisy audio",
    "pose outside the training range",
    "expression unlike those of training",
)


@dataclass(frozen=True)
class Doubts:
    """Of T frames."""

    clarity_db: Float64[np.ndarray, " t"]
    """Level of the speech above the noise around each frame."""
    judgement: Judgement | None
    """Of the streams; None where the avatar does not know what is usual to it."""
    confidence: Float64[np.ndarray, " t"]
    """In the speech, 0..1: share of training frames at least as strange, less where it is noisy."""

    def least_trusted(self, t: int) -> str | None:
        """The stream to trust least in frame ``t``; None where nothing is known."""
        if self.clarity_db[t] < NOISY_DB:
            return "audio"
        return None if self.judgement is None else self.judgement.least_trusted(t)

    def why(self, t: int, strangeness: Mapping[str, float] | None = None) -> list[str]:
        """All reasons to doubt frame ``t``, in plain words, the weightiest first; ``strangeness`` of its forecast."""
        found = [_NOISY] if self.clarity_db[t] < NOISY_DB else []
        stream = None if self.judgement is None else self.judgement.why(t)
        found += [stream] if stream and stream not in found else []
        if strangeness is not None:
            found += [_OUTSIDE_POSE] if max(strangeness.get(name, 0.0) for name in _POSE) >= OUTSIDE else []
            found += [_ODD_FACE] if strangeness.get("expression among its neighbours", 0.0) >= OUTSIDE else []
        return found


def find_doubts(drive: Drive, mel: Float[np.ndarray, "a 80"], familiarity: Familiarity | None, rate: int = 4) -> Doubts:
    """Look at a speech. An emotion that changes because it was asked to is not strange.

    Args:
        drive: What drives the frames.
        mel: Natural logarithm of the mel power spectrum of the sound.
        familiarity: What is usual to the avatar; None where it does not know.
        rate: Spectra per frame.
    """
    clarity = clarity_db(mel, len(drive), rate)
    judgement = None if familiarity is None else familiarity.judge(drive.conditions, asked=drive.asked is not None)
    usual = np.ones(len(drive)) if judgement is None else judgement.confidence
    return Doubts(clarity, judgement, usual * np.clip(clarity / NOISY_DB, 0, 1))


def clarity_db(mel: Float[np.ndarray, "a 80"], num_frames: int, rate: int = 4) -> Float64[np.ndarray, " t"]:
    """How far the speech (loudest tenth of all) is above the noise (quietest moments of the two seconds around)."""
    level = 10 * np.log10(np.exp(mel.astype(np.float64)).mean(1))
    index = np.minimum(np.arange(num_frames)[:, None] * rate + np.arange(rate), len(level) - 1)
    floor = percentile_filter(level[index].min(1), _FLOOR_PERCENT, _FLOOR_WINDOW, mode="nearest")
    return np.percentile(level, _SPEECH_PERCENT) - floor


def calmer(drive: Drive, doubts: Doubts, familiarity: Familiarity | None, least: float) -> Drive:
    """The drive with doubted streams mended by the others, and with the person's mean in place of what is not trusted.

    Args:
        drive: What was asked for.
        doubts: Of its frames.
        familiarity: Knows the person's mean.
        least: Confidence from which on nothing is changed; below it the expression is weighted by confidence / least.

    Raises:
        UserError: the avatar does not know what is usual to it.
    """
    if familiarity is None:
        raise UserError("--min-confidence needs to know what is usual to the avatar, and this one does not.", "Train.")
    weight = uniform_filter1d(np.clip(doubts.confidence / least, 0, 1), SMOOTH_FRAMES, mode="nearest")
    track = drive.conditions if doubts.judgement is None else familiarity.mended(drive.conditions, doubts.judgement)
    return replace(drive, conditions=familiarity.calmed(track, weight))
