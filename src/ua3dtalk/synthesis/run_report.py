"""The JSON report of a synthesis: what was asked for, and for every frame what to expect of it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ua3dtalk.avatar.conditions import STREAMS
from ua3dtalk.avatar.forecast import FrameForecast
from ua3dtalk.core.config import to_plain
from ua3dtalk.core.provenance import AI_GENERATED, provenance
from ua3dtalk.priors.features import EmotionMix
from ua3dtalk.synthesis.doubts import NOISY_DB, Doubts
from ua3dtalk.synthesis.drive import FPS, Drive
from ua3dtalk.synthesis.options import SynthesisOptions

REPORT_SCHEMA = 2
"""2: a forecast in place of an uncertainty without unit, and reasons."""
MEANING = {
    "expected_error": "mean absolute error to expect over the head, 0..1 of full brightness; null: never calibrated",
    "expected_mouth_error": "the same around the mouth",
    "error_80": "the true error over the head lies in between in 80 % of all frames",
    "confidence": "share of the calibration frames that were expected to be worse, 0..1",
    "speech_confidence": "share of the training frames whose speech was at least as unusual, less where it is noisy",
    "least_trusted": "the stream to trust least",
    "why": "why, in plain words; empty where nothing is unusual",
    "stream_scores": "how unusual each stream is: to 2 usual, from 3 doubted; 0 where it is missing",
    "other_voice": "how unlike the subject's own voice the sound is, on the same scale; every other speaker has much",
    "clarity_db": f"level of the speech above the noise; below {NOISY_DB:g} it is noisy",
    "emotion": "strongest emotion asked for; null where the voice decided",
    "emotion_strengths": "per frame of every emotion asked for, 0..1; what is missing to 1 is neutral",
    "emotion_confidence": "confidence of the emotion heard in the voice, 0..1",
    "borrowed_emotions": "never shown by the subject: the mean motion of other people, moved to this face",
}


def run_report(
    drive: Drive,
    doubts: Doubts,
    forecasts: Sequence[FrameForecast | None],
    options: SynthesisOptions,
    audio_s: float,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """What was done and what to expect of it, as JSON-serialisable values.

    Args:
        drive: What drove the frames.
        doubts: What was found of the speech.
        forecasts: Per frame; None where the avatar has no forecast.
        options: What was asked for.
        audio_s: Length of the speech.
        facts: More to record.
    """
    whys = [doubts.why(t, None if f is None else f.strangeness) for t, f in enumerate(forecasts)]
    return {
        "schema": REPORT_SCHEMA,
        "ai_generated": AI_GENERATED,
        "marked": options.marked,
        "frames": len(drive),
        "fps": FPS,
        "video_s": len(drive) / FPS,
        "audio_s": audio_s,
        "settings": {"options": to_plain(options), "given": dict(facts)},
        "borrowed_emotions": list(drive.borrowed),
        "emotion_strengths": None if drive.asked is None else strengths_dict(drive.asked),
        "provenance": provenance(),
        "meaning": MEANING,
        "summary": summary(forecasts, doubts, whys),
        "per_frame": {
            **_expected(forecasts),
            **_doubted(doubts, len(drive)),
            "why": whys,
            "emotion": None if drive.labels is None else list(drive.labels),
            "intensity": None if drive.intensity is None else _rounded(drive.intensity),
            "emotion_confidence": _rounded(drive.features.confidence),
        },
    }


def summary(forecasts: Sequence[FrameForecast | None], doubts: Doubts, whys: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The whole video in a few numbers: error to expect, and the share of frames with each reason to doubt."""
    errors = [f.head for f in forecasts if f is not None]
    reasons = sorted({reason for why in whys for reason in why})
    return {
        "expected_error": round(float(np.mean(errors)), 5) if errors else None,
        "speech_confidence": round(float(doubts.confidence.mean()), 4),
        "doubted": {reason: round(sum(reason in why for why in whys) / len(whys), 4) for reason in reasons},
    }


def strengths_dict(mix: EmotionMix) -> dict[str, list[float]]:
    """Strength per frame of every label."""
    return {name: _rounded(row) for name, row in zip(mix.labels, mix.strengths.T, strict=True)}


def _expected(forecasts: Sequence[FrameForecast | None]) -> dict[str, list[Any]]:
    return {
        "expected_error": [None if f is None else round(f.head, 5) for f in forecasts],
        "expected_mouth_error": [None if f is None else round(f.mouth, 5) for f in forecasts],
        "error_80": [None if f is None else [round(v, 5) for v in f.likely] for f in forecasts],
        "confidence": [None if f is None else round(f.confidence, 4) for f in forecasts],
    }


def _doubted(doubts: Doubts, frames: int) -> dict[str, Any]:
    judged = doubts.judgement
    scores = None if judged is None else {n: _rounded(judged.scores[:, s]) for s, n in enumerate(STREAMS)}
    return {
        "speech_confidence": _rounded(doubts.confidence),
        "least_trusted": [doubts.least_trusted(t) for t in range(frames)],
        "stream_scores": scores,
        "other_voice": None if judged is None else _rounded(judged.voice),
        "clarity_db": _rounded(doubts.clarity_db),
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 4) for v in values]
