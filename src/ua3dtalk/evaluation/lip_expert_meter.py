"""The lip expert as a metric: offset, confidence and distance of every row against the same sound."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from ua3dtalk.evaluation.expression_features import lip_vector
from ua3dtalk.evaluation.lip_expert import SEARCH_FRAMES, STEPS_PER_FRAME, lip_sync
from ua3dtalk.evaluation.measure import Definition, MakeMeter, Measure, Missing, Moment
from ua3dtalk.media.audio import SAMPLE_RATE_HZ
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.lip_targets import NUM_TARGETS
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder
from ua3dtalk.tracking.normalised import normalised_points

FPS = 25
MIN_VOICED_S = 1.0
"""Speech that must be heard, seconds; below, nothing is measured."""
_SOURCE = "Own lip expert (content prior, knows no speaker); not SyncNet"

OFFSET = Definition(
    key="lip_expert_offset",
    title="offset (lip expert)",
    unit="frames",
    ideal="zero",
    meaning="Lag, within 15 frames and in halves, at which the lips agree best with those that our content prior "
    "predicts from the sound. Positive: the lips come late. Zero is where lips are shut in the middle of P, B and M; "
    "read it beside the real video's row.",
    source=_SOURCE,
)
CONFIDENCE = Definition(
    key="lip_expert_confidence",
    title="confidence (lip expert)",
    unit="",
    ideal="real",
    meaning="Agreement (mean correlation of five lip curves, whole and fast part) at the best lag minus the median "
    "over all lags. In the spirit of Sync-C, on another scale. Our own avatars learn their lips from the same "
    "prior and may exceed the real video; beyond the real row more is not better.",
    source=_SOURCE,
)
DISTANCE = Definition(
    key="lip_expert_distance",
    title="distance (lip expert)",
    unit="",
    ideal="real",
    meaning="Root of 2 - 2 × agreement at the best lag: 0 for lips as predicted, 1.41 for unrelated ones. In the "
    "spirit of Sync-D, on another scale; it does not see a constant delay.",
    source=_SOURCE,
)
DEFINITIONS = (OFFSET, CONFIDENCE, DISTANCE)


def make_lip_expert_meter(
    audio: Float32[np.ndarray, " s"] | None, prior: ContentPrior | None = None, encoder: SpeechEncoder | None = None
) -> MakeMeter:
    """Hears the sound once and gives a fresh meter for every row.

    Args:
        audio: Sound of the evaluated frames, which follow each other at 25 fps: 16 kHz mono, -1..1, sample 0 at the
            start of the first frame; None where there is none.
        prior: Content prior; the shipped one when None.
        encoder: Speech encoder that the prior was trained with; the default one when None.

    Raises:
        UserError: samples that are not finite, or an encoder that the prior does not know.
    """
    if audio is None or not len(audio):
        return lambda: Missing(DEFINITIONS, "The video has no sound: use a video in which the person speaks.")
    speech = (encoder or PhoneEncoder()).encode(audio)
    seconds = len(audio) / SAMPLE_RATE_HZ
    voiced_s = float(voice_activity(speech, int(seconds * FPS)).sum()) / FPS
    if voiced_s < MIN_VOICED_S:
        why = f"The sound holds {voiced_s:.1f} s of speech, {MIN_VOICED_S:g} s are needed: use a part with speech."
        return lambda: Missing(DEFINITIONS, why)
    rate_hz = FPS * STEPS_PER_FRAME
    predicted = (prior or ContentPrior.load()).predict(speech, np.arange(int(seconds * rate_hz)) / rate_hz)
    return lambda: LipExpertMeter(predicted, voiced_s)


class LipExpertMeter:
    """Keeps 14 numbers of every frame. Frames without a face are left out and counted.

    Args:
        predicted: ``ContentPrior.predict`` at 50 Hz, time 0 at the first frame.
        voiced_s: How much speech was heard, seconds; to be recorded.
    """

    definitions = DEFINITIONS

    def __init__(self, predicted: Float32[np.ndarray, "n 14"], voiced_s: float) -> None:
        self._predicted = predicted
        self._voiced_s = voiced_s
        self._lips: list[np.ndarray] = []

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        found = moment.landmarks
        self._lips.append(np.full(NUM_TARGETS, np.nan) if found is None else lip_vector(normalised_points(found)))

    def results(self) -> dict[str, Measure]:
        """The three numbers; unavailable where less than 1.5 s with a face overlaps the sound, or nothing moves."""
        lips = np.array(self._lips).reshape(-1, NUM_TARGETS)
        found = lip_sync(self._predicted, lips)
        details = {
            "frames": len(lips),
            "frames_without_face": int(np.isnan(lips).any(axis=1).sum()),
            "voiced_s": round(self._voiced_s, 2),
            "search_frames": SEARCH_FRAMES,
        }
        if found is None:
            why = "Less than 1.5 s of the row shows a face while there is sound, or its lips never move."
            return {d.key: Measure(value=None, unavailable=why, details=details) for d in DEFINITIONS}
        details |= {"agreement": round(found.score, 3)}
        values = {OFFSET: found.offset_frames, CONFIDENCE: found.confidence, DISTANCE: found.distance}
        return {d.key: Measure(value=value, details=details) for d, value in values.items()}
