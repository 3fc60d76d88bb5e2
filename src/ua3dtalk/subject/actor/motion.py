"""How the actor moves: lips in step with the phones, emotion, blinks, gaze and head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from ua3dtalk.subject.actor.expressions import EXPRESSIONS
from ua3dtalk.subject.actor.moods import mood_of
from ua3dtalk.subject.actor.phones import CLOSED_LIPS, LIP_TO_TEETH, VISEMES
from ua3dtalk.subject.actor.script import CONTROL_HZ, Score

_MOUTH = ("jaw_open", "lip_pucker", "lip_wide", "upper_lip_raise", "lower_lip_drop", "lower_lip_tuck")
_NECK_PIVOT = np.array([0.0, -0.075, -0.055])


@dataclass(frozen=True, kw_only=True)
class FaceMotion:
    """Motion of the face. T frames."""

    weights: Float[np.ndarray, "t b"]
    """Expression weights in the order of ``EXPRESSIONS``, 0..1."""
    tongue: Float[np.ndarray, " t"]
    """Lift of the tongue, 0..1."""
    gaze_rad: Float[np.ndarray, "t 2"]
    """Turn of the eyes to the subject's left and up, relative to the head."""


@dataclass(frozen=True, kw_only=True)
class BodyMotion:
    """Motion of head and torso. T frames."""

    viewmats: Float[np.ndarray, "t 4 4"]
    """Head frame to camera (OpenCV axes)."""
    torso: Float[np.ndarray, "t 4 4"]
    """Torso's rest position in the head frame to where it is in the head frame."""
    angles_rad: Float[np.ndarray, "t 3"]
    """Head: yaw (to the subject's left), pitch (down), roll."""


def _bumps(score: Score, symbols: frozenset[str], times: np.ndarray, edge_s: float) -> np.ndarray:
    """1 inside the phones of a set, with soft shoulders outside. Returns: [c]."""
    track = np.zeros(len(times))
    for phone in score.phones:
        if phone.symbol in symbols:
            outside = np.maximum(np.maximum(phone.start_s + 0.005 - times, times - phone.end_s + 0.012), 0)
            track = np.maximum(track, np.exp(-((outside / edge_s) ** 2)))
    return track


def _speech_tracks(score: Score, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mouth weights [c, 6] in the order of ``_MOUTH``, lip press [c] and tongue [c] from the phones."""
    owner = np.searchsorted([phone.end_s for phone in score.phones], times, side="right").clip(0, len(score.phones) - 1)
    goals = np.array([VISEMES[phone.symbol] for phone in score.phones])
    stress = np.array([1.10 if phone.stressed else 0.92 for phone in score.phones])
    goals[:, 0] *= stress
    tracks = goals[owner]
    # Rounding spreads furthest into the neighbours; the tongue is quickest.
    for column, sigma_s in enumerate((0.034, 0.050, 0.046, 0.036, 0.036, 0.022, 0.020)):
        tracks[:, column] = gaussian_filter1d(tracks[:, column], sigma_s * CONTROL_HZ, mode="nearest")
    closed, bitten = _bumps(score, CLOSED_LIPS, times, 0.030), _bumps(score, LIP_TO_TEETH, times, 0.032)
    size = 1 + score.mood_track("articulation", times)
    tracks[:, :5] *= size[:, None]
    tracks[:, 5] = np.maximum(tracks[:, 5], bitten) * (1 - closed)
    tracks[:, 0] = tracks[:, 0] * (1 - bitten) + 0.10 * bitten
    for column in (0, 3, 4):
        tracks[:, column] *= 1 - closed
    tracks[:, 4] *= 1 - bitten
    return tracks[:, :6], 0.75 * closed, tracks[:, 6]


def _blinks(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A blink every few seconds: fast down, slower up."""
    track, moment = np.zeros(len(times)), generator.uniform(0.8, 2.0)
    while moment < times[-1] + 0.5:
        into = times - moment
        down, up = np.clip(into / 0.09, 0, 1), np.clip((into - 0.13) / 0.17, 0, 1)
        track = np.maximum(track, np.where(into < 0, 0, np.sin(0.5 * np.pi * down) * np.cos(0.5 * np.pi * up) ** 2))
        moment += generator.uniform(2.0, 4.2)
    return track


def _wander(count: int, rate_hz: float, sigma_s: float, generator: np.random.Generator) -> np.ndarray:
    """Smooth noise that stays within -1..1."""
    pad = int(4 * sigma_s * rate_hz)
    noise = gaussian_filter1d(generator.standard_normal(count + 2 * pad), sigma_s * rate_hz)[pad : pad + count]
    noise = noise * np.sqrt(2 * np.sqrt(np.pi) * sigma_s * rate_hz)
    return np.tanh(0.8 * noise)


def _glances(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Small jumps of the eyes around the camera. Returns: [c, 2] radians."""
    track, moment, goal = np.zeros((len(times), 2)), 0.0, np.zeros(2)
    while moment < times[-1]:
        track[times >= moment] = goal
        moment += generator.uniform(0.5, 1.8)
        goal = generator.normal(0, [0.05, 0.025], 2) if generator.random() < 0.6 else np.zeros(2)
    return gaussian_filter1d(track, 0.012 * CONTROL_HZ, axis=0, mode="nearest")


def face_motion(score: Score, fps: float, generator: np.random.Generator) -> FaceMotion:
    """The face that says a score in its emotions; frame k shows the moment k / fps.

    Args:
        score: What is said.
        fps: Frames per second.
        generator: Source of blinks and glances.
    """
    num_frames = round(score.duration_s * fps)
    times = np.arange(round(score.duration_s * CONTROL_HZ) + 1) / CONTROL_HZ
    weights = np.zeros((len(times), len(EXPRESSIONS)))
    mouth, press, tongue = _speech_tracks(score, times)
    for name, track in zip(_MOUTH, mouth.T, strict=True):
        weights[:, EXPRESSIONS.index(name)] = track
    closing = press / 0.75
    for name in EXPRESSIONS:
        values = [mood_of(span.label).face.get(name, 0.0) * span.intensity for span in score.spans]
        emotion = score.blend(values, times, 0.5)
        if name in ("upper_lip_raise", "lower_lip_drop"):
            emotion = emotion * (1 - closing)
        if name == "lip_press":  # tense lips part for vowels
            emotion = emotion * (1 - np.clip(3 * mouth[:, 0], 0, 1))
        weights[:, EXPRESSIONS.index(name)] += emotion
    weights[:, EXPRESSIONS.index("lip_press")] += press
    accent = np.append(score.accent, score.accent[-1:])
    weights[:, EXPRESSIONS.index("brow_outer_up")] += 0.16 * gaussian_filter1d(accent, 0.06 * CONTROL_HZ)
    blink = _blinks(times, generator)
    lid = EXPRESSIONS.index("blink")
    weights[:, lid] = np.maximum(weights[:, lid], blink)
    for name in ("squint", "lid_wide"):  # a closed lid cannot close further
        weights[:, EXPRESSIONS.index(name)] *= 1 - blink
    gaze = _glances(times, generator)
    gaze[:, 1] += score.mood_track("gaze_up_rad", times, 0.5)
    picks = np.round(np.arange(num_frames) / fps * CONTROL_HZ).astype(int)
    return FaceMotion(weights=np.clip(weights, 0, 1)[picks], tongue=np.clip(tongue, 0, 1)[picks], gaze_rad=gaze[picks])


def _rigid(rotation: np.ndarray, pivot: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Turns about a pivot, then shifts. Returns: [t, 4, 4]."""
    matrices = np.tile(np.eye(4), (len(rotation), 1, 1))
    matrices[:, :3, :3] = rotation
    matrices[:, :3, 3] = pivot - rotation @ pivot + shift
    return matrices


def body_motion(
    score: Score, fps: float, generator: np.random.Generator, range_rad: float, camera: Float[np.ndarray, "4 4"]
) -> BodyMotion:
    """A head that wanders gently and nods on accents, over a torso that sways a little.

    Args:
        score: What is said.
        fps: Frames per second.
        generator: Source of the wandering.
        range_rad: Largest yaw.
        camera: Resting head frame to camera.
    """
    num_frames = round(score.duration_s * fps)
    times = np.arange(num_frames) / fps
    yaw = range_rad * _wander(num_frames, fps, 0.55, generator)
    pitch = 0.42 * range_rad * _wander(num_frames, fps, 0.45, generator) + score.mood_track(
        "head_pitch_rad", times, 0.6
    )
    roll = 0.34 * range_rad * _wander(num_frames, fps, 0.6, generator)
    picks = np.minimum((times * CONTROL_HZ).astype(int), len(score.accent) - 1)
    pitch += 0.022 * gaussian_filter1d(score.accent, 0.07 * CONTROL_HZ)[picks]
    drift = np.stack([_wander(num_frames, fps, 0.8, generator) for _ in range(3)], axis=1) * [0.006, 0.004, 0.008]
    head = _rigid(Rotation.from_euler("YXZ", np.stack([yaw, pitch, roll], 1)).as_matrix(), _NECK_PIVOT, drift)
    sway = np.stack([_wander(num_frames, fps, 0.9, generator) for _ in range(2)], axis=1) * [0.016, 0.012]
    turn = Rotation.from_euler("YZ", sway + np.stack([0.10 * yaw, 0.05 * roll], 1)).as_matrix()
    torso = _rigid(turn, _NECK_PIVOT - np.array([0, 0.25, 0]), 0.5 * drift)
    return BodyMotion(
        viewmats=camera @ head, torso=np.linalg.inv(head) @ torso, angles_rad=np.stack([yaw, pitch, roll], 1)
    )
