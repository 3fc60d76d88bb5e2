"""The light in the picture over time, and the sound. T frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.recipes.data_report.watch import Spot

MEAN_OF = 9
"""Frames that flicker is measured against the mean of."""
CLIPPED = 0.99
VOICED = 0.5


@dataclass(frozen=True, kw_only=True)
class LightFacts:
    """Brightness, exposure, steadiness."""

    skin_brightness: float | None
    """Median brightness of the skin, 0..255."""
    blown: float
    """Share of the skin that is blown out, median of the frames looked at, 0..1."""
    crushed: float
    """Share of the skin that is black, 0..1."""
    drift: float
    """From the 5th to the 95th percentile of the face's brightness, averaged over a second, over its median."""
    flicker: float
    """Standard deviation of the picture's quick changes of brightness over its mean, by their median."""
    background_change: float | None
    """How far the background strays from the plate, grey levels; None where none is seen."""


@dataclass(frozen=True, kw_only=True)
class SpeechFacts:
    """The sound. ``None`` where there is none."""

    present: bool
    """Whether the video has a sound track."""
    silent: bool
    """Whether it is too quiet to hold speech."""
    level_db: float | None
    """RMS, dB of full scale."""
    voiced_s: float
    """Seconds in which speech is heard."""
    speech_over_noise_db: float | None
    """Level while speaking (90th percentile) over the quietest moments (10th), dB."""
    clipped: float
    """Share of samples at full scale, 0..1."""
    offset_ms: float | None
    """How late the sound came, milliseconds; it is corrected. None where no offset was believable."""
    lips_agreement: float | None
    """Correlation of the lips that the sound asks for with those seen, at the best offset."""


def light_facts(
    brightness: Float[np.ndarray, " t"], face_brightness: Float[np.ndarray, " t"], spots: Sequence[Spot]
) -> LightFacts:
    """From the pass over all frames (without black ones) and the closer looks."""

    def middle(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.median(known)) if known else None

    return LightFacts(
        skin_brightness=middle([spot.skin_brightness for spot in spots]),
        blown=middle([spot.blown for spot in spots]) or 0.0,
        crushed=middle([spot.crushed for spot in spots]) or 0.0,
        drift=drift(face_brightness),
        flicker=flicker(brightness),
        background_change=middle([spot.background_change for spot in spots]),
    )


def drift(brightness: Float[np.ndarray, " t"], window: int = 25) -> float:
    """Slow change of brightness: 5th to 95th percentile of its mean over a second, over the median."""
    window = min(window, len(brightness))
    slow = np.convolve(brightness.astype(np.float64), np.full(window, 1 / window), "valid")
    low, high = np.percentile(slow, [5, 95])
    return float((high - low) / max(float(np.median(slow)), 1.0))


def flicker(brightness: Float[np.ndarray, " t"]) -> float:
    """Quick change of brightness: deviation from the mean of nine frames, by its median, over the mean.

    The median leaves single flashes and gestures out.
    """
    padded = np.pad(brightness.astype(np.float64), MEAN_OF // 2, mode="edge")
    quick = brightness - np.convolve(padded, np.full(MEAN_OF, 1 / MEAN_OF), "valid")
    return float(1.4826 * np.median(np.abs(quick)) / max(float(brightness.mean()), 1.0))


def sound_levels_db(samples: Float32[np.ndarray, " s"], num_frames: int) -> Float[np.ndarray, " t"]:
    """RMS of the sound of each frame, dB of full scale; −120 at the least."""
    edges = np.linspace(0, len(samples), num_frames + 1).astype(int)
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    mean = (power[edges[1:]] - power[edges[:-1]]) / np.maximum(np.diff(edges), 1)
    return 10 * np.log10(np.maximum(mean, 1e-12))


def speech_facts(
    samples: Float32[np.ndarray, " s"] | None,
    voiced: Float32[np.ndarray, " t"] | None,
    recorded: dict[str, object],
    num_frames: int,
    fps: float,
) -> SpeechFacts:
    """What there is to hear.

    Args:
        samples: The sound, or None.
        voiced: How much speech is heard around each frame, 0..1, or None.
        recorded: Facts of the *speech* stage.
        num_frames: T.
        fps: Frames per second.
    """
    offset, agreement = recorded.get("offset_frames"), recorded.get("peak_r")
    accepted = recorded.get("speech") == "ok"
    heard = samples is not None and len(samples) > 0
    levels = sound_levels_db(samples, num_frames) if samples is not None and heard else None
    quiet, loud = (None, None) if levels is None else np.percentile(levels, [10, 90])
    mean_power = float(np.mean(np.square(samples, dtype=np.float64))) if samples is not None and heard else 0.0
    return SpeechFacts(
        present=heard,
        silent=recorded.get("speech") == "none",
        level_db=float(10 * np.log10(max(mean_power, 1e-12))) if heard else None,
        voiced_s=0.0 if voiced is None else float((voiced > VOICED).sum() / fps),
        speech_over_noise_db=None if loud is None or quiet is None else float(loud - quiet),
        clipped=float((np.abs(samples) >= CLIPPED).mean()) if samples is not None and heard else 0.0,
        offset_ms=float(offset) / fps * 1000 if accepted and isinstance(offset, int | float) else None,
        lips_agreement=float(agreement) if isinstance(agreement, int | float) else None,
    )
