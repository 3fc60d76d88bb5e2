"""How much of a face's repertoire a video shows: mouth, lids, smile, brows, head pose, emotions. T frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from ua3dtalk.subject.face_signals import LEFT_CORNER, LEFT_EYE, RIGHT_CORNER, RIGHT_EYE, UPPER_INNER, raw_signals
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.track_data import TrackData
from ua3dtalk.tracking.projection import Poses
from ua3dtalk.tracking.stage_face import pose_angles
from ua3dtalk.tracking.topology import NUM_VERTICES

OPENING_BINS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
"""Lower borders of the opening's histogram, eye distances; the last bin has no upper one."""
LIPS_CLOSED = OPENING_BINS[1]
"""Below this opening the lips touch. The lowest 5 % of 20 speaking clips: .003 to .028."""
LIDS_CLOSED = 0.6
"""Lids are shut below this share of their usual opening. Clips with blinks fall to .1 to .5, others stay over .8."""
SMILE = 0.12
"""Corners wider and higher by this (sum, eye distances) than usual are a smile: serious speech reaches .04 to .1, a
smile .15 to .24. Someone who always smiles has no smile by this measure, and no straight face."""
BROWS_UP = 0.035
"""Inner brows higher by this than usual are raised: quiet faces reach .006 to .02, lively ones .04 to .08."""
ANGLE_BINS_DEG = (-90, -30, -20, -10, -5, 5, 10, 20, 30, 90)
"""Borders of the histogram of yaw and pitch."""


@dataclass(frozen=True, kw_only=True)
class MouthFacts:
    """The mouth's opening."""

    opening: tuple[float, float, float]
    """5th, 50th and 95th percentile, eye distances."""
    seconds_by_opening: tuple[float, ...]
    """Seconds in each bin of ``OPENING_BINS``."""
    closed_s: float
    """Seconds with closed lips."""


@dataclass(frozen=True, kw_only=True)
class ExpressionFacts:
    """Lids, smile, brows."""

    blinks: int
    """How often the lids shut."""
    blinks_per_minute: float
    """The same over time."""
    eyes_shut_share: float
    """Share of the frames with shut lids, 0..1."""
    lids_least: float
    """2nd percentile of the lids' opening, share of the usual one."""
    smile_s: float
    """Seconds in which the mouth's corners are clearly wider or higher than usual."""
    smile_most: float
    """98th percentile of that, eye distances."""
    brows_up_s: float
    """Seconds with raised brows."""
    brows_range: float
    """From the 2nd to the 98th percentile of the inner brows' height, eye distances."""


@dataclass(frozen=True, kw_only=True)
class PoseFacts:
    """Head pose, degrees."""

    pitch: tuple[float, float]
    """2nd and 98th percentile; up is positive."""
    yaw: tuple[float, float]
    """2nd and 98th percentile; to the subject's left is positive."""
    roll: tuple[float, float]
    """2nd and 98th percentile."""
    seconds_by_yaw: tuple[float, ...]
    """Seconds in each bin of ``ANGLE_BINS_DEG``."""
    seconds_by_pitch: tuple[float, ...]
    """Seconds in each bin of ``ANGLE_BINS_DEG``."""
    jitter: float
    """Frame-to-frame noise of the rotation (RMS over its axes): what third differences show of it, by their median."""


@dataclass(frozen=True, kw_only=True)
class EmotionFacts:
    """What the user's labels say."""

    seconds: dict[str, dict[str, float]]
    """Seconds by label and intensity."""
    unlabelled_s: float
    """Seconds without a label."""
    outside_s: float
    """Seconds of labels that lie after the end of the video."""


def mouth_facts(opening: Float[np.ndarray, " t"], fps: float) -> MouthFacts:
    """From the mouth's opening, eye distances."""
    low, middle, high = np.percentile(opening, [5, 50, 95])
    counts = np.histogram(opening, [*OPENING_BINS, np.inf])[0]
    return MouthFacts(
        opening=(float(low), float(middle), float(high)),
        seconds_by_opening=tuple((counts / fps).round(2).tolist()),
        closed_s=float((opening < LIPS_CLOSED).sum() / fps),
    )


def expression_facts(signals: Mapping[str, Float64[np.ndarray, " t"]], fps: float) -> ExpressionFacts:
    """From ``expression_signals``."""
    shut = signals["lids"] < LIDS_CLOSED
    blinks = int((shut[1:] & ~shut[:-1]).sum())
    low, high = np.percentile(signals["brows"], [2, 98])
    return ExpressionFacts(
        blinks=blinks,
        blinks_per_minute=blinks / len(shut) * fps * 60,
        eyes_shut_share=float(shut.mean()),
        lids_least=float(np.percentile(signals["lids"], 2)),
        smile_s=float((signals["smile"] > SMILE).sum() / fps),
        smile_most=float(np.percentile(signals["smile"], 98)),
        brows_up_s=float((signals["brows"] > BROWS_UP).sum() / fps),
        brows_range=float(high - low),
    )


def expression_signals(points: Float[np.ndarray, "t 468 3"]) -> dict[str, Float64[np.ndarray, " t"]]:
    """Lids (share of their usual opening), smile and brows (eye distances from the usual); usual is the video's median.

    The smile is the mouth's width and the height of its corners over the upper lip: an opening mouth does not raise it.

    Args:
        points: Landmarks in the head frame, metres.
    """
    points = points.astype(np.float64)
    raw = raw_signals(points)
    unit = np.linalg.norm(points[:, RIGHT_EYE] - points[:, LEFT_EYE], axis=-1).mean()
    corners = points[:, [RIGHT_CORNER, LEFT_CORNER], 1].mean(1)
    lids, smile, brows = -raw["AU45"], (corners - points[:, UPPER_INNER, 1]) / unit - raw["AU18"], raw["AU01"]
    return {
        "lids": lids / max(float(np.median(lids)), 1e-6),
        "smile": smile - np.median(smile),
        "brows": brows - np.median(brows),
    }


def angles_deg(track: TrackData) -> Float64[np.ndarray, "t 3"]:
    """Pitch, yaw and roll of every frame, degrees."""
    return np.degrees(pose_angles(Poses(track.viewmats[:, :3, :3], track.viewmats[:, :3, 3])))


def pose_facts(angles: Float64[np.ndarray, "t 3"], fps: float) -> PoseFacts:
    """From ``angles_deg``."""
    ranges = [tuple(np.percentile(angles[:, k], [2, 98]).round(2).tolist()) for k in range(3)]
    histograms = [np.histogram(angles[:, k], ANGLE_BINS_DEG)[0] / fps for k in range(3)]
    return PoseFacts(
        pitch=ranges[0],
        yaw=ranges[1],
        roll=ranges[2],
        seconds_by_yaw=tuple(histograms[1].round(2).tolist()),
        seconds_by_pitch=tuple(histograms[0].round(2).tolist()),
        jitter=rotation_jitter(angles),
    )


def rotation_jitter(angles: Float64[np.ndarray, "t 3"]) -> float:
    """Standard deviation of noise that is independent from frame to frame, RMS over the axes, degrees.

    Third differences of noise have √20 times its deviation; a head that turns smoothly hardly shows in them, and the
    median over frames leaves quick gestures out.
    """
    if len(angles) < 4:
        return 0.0
    third = np.abs(np.diff(angles, 3, axis=0))
    per_axis = 1.4826 * np.median(third, axis=0) / np.sqrt(20)
    return float(np.sqrt((per_axis**2).mean()))


def emotion_facts(labels: Sequence[EmotionSpan], num_frames: int, fps: float) -> EmotionFacts:
    """Seconds of each label and intensity; where labels overlap, each counts."""
    end_s = num_frames / fps
    covered = np.zeros(num_frames, bool)
    seconds: dict[str, dict[str, float]] = {}
    outside = 0.0
    for span in labels:
        inside = max(0.0, min(span.end_s, end_s) - min(span.start_s, end_s))
        outside += span.end_s - span.start_s - inside
        covered[round(span.start_s * fps) : round(span.end_s * fps)] = True
        by_strength = seconds.setdefault(span.label, {})
        strength = f"{span.intensity:g}"
        by_strength[strength] = round(by_strength.get(strength, 0.0) + inside, 2)
    return EmotionFacts(seconds=seconds, unlabelled_s=float((~covered).sum() / fps), outside_s=round(outside, 2))


def face_height_px(landmarks: Float32[np.ndarray, "t 478 3"]) -> float:
    """Median height of the face in the stored frames, forehead to chin, pixels."""
    return float(np.median(np.ptp(landmarks[:, :NUM_VERTICES, 1], axis=1)))


def outside_share(landmarks: Float32[np.ndarray, "t 478 3"], width: int, height: int) -> float:
    """Share of the frames in which a part of the face lies outside the picture, 0..1."""
    x, y = landmarks[..., 0], landmarks[..., 1]
    return float(((x < 0) | (y < 0) | (x > width) | (y > height)).any(1).mean())
