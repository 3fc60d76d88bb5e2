"""Lids and brows for any length of speech: the subject's own blinks, generated ones, or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.ndimage import maximum_filter1d

from ua3dtalk.subject.track_data import UPPER_NAMES

BLINK = UPPER_NAMES.index("AU45")
MIN_PERIOD_S, MAX_PERIOD_S = 2.0, 5.0
CLOSING_S, CLOSED_S, OPENING_S = 0.10, 0.04, 0.20
"""A spontaneous blink: lids fall about twice as fast as they rise (Evinger et al. 1991)."""
_LEAST_DEPTH = 3.0  # z-scores: a subject that never blinks in the loop still gets a visible blink
_MARGIN_FRAMES = 3


@dataclass(frozen=True)
class UpperSignals:
    """A subject's upper-face signals, taken apart."""

    calm: Float64[np.ndarray, "l 6"]
    """The signals with blinks bridged by straight lines."""
    blink: Float64[np.ndarray, " 6"]
    """What a full blink adds to each signal."""


def take_apart(upper: Float[np.ndarray, "l 6"]) -> UpperSignals:
    """Separate blinks from the slower movement of lids and brows."""
    values = upper.astype(np.float64)
    rest = float(np.median(values[:, BLINK]))
    depth = max(float(np.percentile(values[:, BLINK], 99.5)) - rest, _LEAST_DEPTH)
    blinking = values[:, BLINK] > rest + 0.4 * depth
    peaks = values[:, BLINK] > rest + 0.75 * depth
    widened = maximum_filter1d(blinking.astype(np.uint8), 2 * _MARGIN_FRAMES + 1) > 0
    calm = _bridge(values, widened)
    change = np.zeros(values.shape[1])
    if peaks.any():
        change = (values - calm)[peaks].mean(0)
    change[BLINK] = depth
    return UpperSignals(calm, change)


def sample_signals(signals: Float[np.ndarray, "l 6"], phase: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "t 6"]:
    """Signals at fractional positions of the loop."""
    steps = np.arange(len(signals))
    return np.stack([np.interp(phase, steps, column) for column in signals.T.astype(np.float64)], 1)


def lid_profile(num_frames: int, fps: float, generator: np.random.Generator) -> Float64[np.ndarray, " t"]:
    """How closed generated blinks make the lids, 0..1, one blink every 2–5 s at random.

    Args:
        num_frames: T.
        fps: Frames per second.
        generator: Source of the intervals.
    """
    time_s = np.arange(num_frames) / fps
    closed = np.zeros(num_frames)
    start_s = generator.uniform(0.5, MAX_PERIOD_S)
    while start_s < num_frames / fps:
        closed = np.maximum(closed, _one_blink(time_s - start_s))
        start_s += generator.uniform(MIN_PERIOD_S, MAX_PERIOD_S)
    return closed


def upper_track(
    upper: Float[np.ndarray, "l 6"],
    phase: Float64[np.ndarray, " t"],
    blink: str,
    generator: np.random.Generator,
    fps: float = 25.0,
) -> Float64[np.ndarray, "t 6"]:
    """Upper-face signals of every frame.

    Args:
        upper: The subject's own in its loop, z-scored.
        phase: Position in the loop.
        blink: ``source``, ``generated`` or ``none``.
        generator: For generated blinks.
        fps: Frames per second.
    """
    if blink == "source":
        return sample_signals(upper, phase)
    parts = take_apart(upper)
    calm = sample_signals(parts.calm, phase)
    if blink == "none":
        return calm
    return calm + lid_profile(len(phase), fps, generator)[:, None] * parts.blink


def _one_blink(since_s: np.ndarray) -> np.ndarray:
    """Raised cosines down and up, with a short stay between."""
    down = np.clip(since_s / CLOSING_S, 0, 1)
    up = np.clip((since_s - CLOSING_S - CLOSED_S) / OPENING_S, 0, 1)
    return (1 - np.cos(np.pi * down)) / 2 * (1 + np.cos(np.pi * up)) / 2


def _bridge(values: np.ndarray, away: Bool[np.ndarray, " l"]) -> np.ndarray:
    """Replace marked frames by straight lines between their neighbours; all of them by the median."""
    if away.all():
        return np.repeat(np.median(values, 0)[None], len(values), 0)
    steps = np.arange(len(values))
    return np.stack([np.interp(steps, steps[~away], column[~away]) for column in values.T], 1)
