"""From speech to what drives every frame: conditions, pose and torso."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.core.errors import UserError
from ua3dtalk.media.audio import SAMPLE_RATE_HZ, level_db, read_audio
from ua3dtalk.priors.emotion_space import WORDS, EmotionRequest
from ua3dtalk.priors.features import PriorFeatures
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.synthesis.blink import upper_track
from ua3dtalk.synthesis.options import AUTO, SynthesisOptions
from ua3dtalk.synthesis.pose import PosePath, file_path, source_path, still_path
from ua3dtalk.synthesis.target import Target, TargetLoop
from ua3dtalk.synthesis.timeline import read_timeline, timeline_track

FPS = 25.0
SILENCE_DB = -60.0
_LEVEL_WINDOW_S = 0.1


@dataclass(frozen=True)
class Drive:
    """What drives T frames; with sound and speech features about 13 kB per frame (190 MiB for ten minutes)."""

    conditions: ConditionTrack
    """Conditions."""
    viewmats: Float64[np.ndarray, "t 4 4"]
    """World to camera."""
    torso: Int64[np.ndarray, " t"]
    """Loop frame whose torso stands behind the head."""
    features: PriorFeatures
    """What the priors heard."""
    labels: tuple[str, ...] | None
    """Emotion asked for per frame; None where it came from the voice."""
    intensity: Float64[np.ndarray, " t"] | None
    """Its strength per frame, 0..1."""

    def __len__(self) -> int:
        return len(self.viewmats)


def read_speech(path: Path) -> Float32[np.ndarray, " s"]:
    """Speech of any audio or video file, mono at 16 kHz.

    Raises:
        UserError: no such file, no sound, not decodable, shorter than a frame, or silent from end to end.
    """
    samples, _ = read_audio(path)
    if frames_of(samples) < 1:
        raise UserError(f"{path} is shorter than one frame ({len(samples) / SAMPLE_RATE_HZ:.3f} s).", "Give speech.")
    if loudest_db(samples) < SILENCE_DB:
        raise UserError(
            f"{path} is silent (never above {SILENCE_DB:g} dB): there is nothing to say.", "Give a recording of speech."
        )
    return samples


def loudest_db(samples: Float32[np.ndarray, " s"]) -> float:
    """Level of the loudest tenth of a second, dB relative to full scale."""
    window = int(_LEVEL_WINDOW_S * SAMPLE_RATE_HZ)
    return max(level_db(samples[i : i + window]) for i in range(0, max(len(samples), 1), window))


def frames_of(samples: Float32[np.ndarray, " s"]) -> int:
    """How many frames belong to a sound: to the nearest, so that both lengths differ by half a frame at most."""
    return round(len(samples) / SAMPLE_RATE_HZ * FPS)


def make_drive(
    avatar: Target,
    speech: SpeechFeatures,
    num_frames: int,
    options: SynthesisOptions,
    generator: np.random.Generator,
) -> Drive:
    """Conditions, poses and torsos for a speech.

    Args:
        avatar: Who speaks.
        speech: Features of the speech, by the encoder that the avatar was trained with.
        num_frames: T.
        options: What the user asked for.
        generator: For generated blinks.

    Raises:
        UserError: an unknown emotion, or a bad timeline or pose file.
    """
    asked = requested_emotion(avatar.priors.labels, num_frames, options)
    labels, intensity = asked if asked is not None else (None, None)
    request = None if asked is None else EmotionRequest(labels=asked[0], intensity=asked[1].astype(np.float32))
    features = avatar.priors.features(speech, num_frames, request)
    path = pose_path(avatar.loop, num_frames, options.pose)
    upper = upper_track(avatar.loop.upper, path.phase, options.blink, generator, FPS) + features.upper_offset
    conditions = ConditionTrack.from_arrays(
        audio=speech.windows(num_frames, FPS),
        upper=upper.astype(np.float32),
        lower=features.lower,
        content=features.content,
        style=features.style,
        emotion=features.emotion,
    )
    return Drive(conditions, path.viewmats, path.torso, features, None if labels is None else tuple(labels), intensity)


def requested_emotion(
    known: Sequence[str], num_frames: int, options: SynthesisOptions
) -> tuple[list[str], Float64[np.ndarray, " t"]] | None:
    """Label and intensity per frame, or None where the voice decides.

    Raises:
        UserError: an unknown label, or a bad timeline.
    """
    if options.timeline is not None:
        return timeline_track(read_timeline(options.timeline, known, num_frames / FPS), num_frames, FPS)
    if options.emotion == AUTO:
        return None
    label = options.emotion.strip().lower()
    label = WORDS.get(label, label)
    if label not in known:
        raise UserError(f"--emotion {options.emotion!r} is not known.", f"Use {AUTO}, {', '.join(known)}.")
    return [label] * num_frames, np.full(num_frames, float(options.intensity))


def pose_path(loop: TargetLoop, num_frames: int, pose: str) -> PosePath:
    """Head poses as asked for: ``source``, ``still`` or a file."""
    if pose == "source":
        return source_path(loop.viewmats, num_frames)
    if pose == "still":
        return still_path(loop.viewmats, num_frames)
    return file_path(Path(pose), loop.viewmats, num_frames)
