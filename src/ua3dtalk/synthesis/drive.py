"""From speech to what drives every frame: conditions, pose and torso."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.media.audio import SAMPLE_RATE_HZ, level_db, read_audio
from ua3dtalk.priors.emotion_space import Askable
from ua3dtalk.priors.features import EmotionMix, EmotionRequest, PriorFeatures
from ua3dtalk.subject.labels import NEUTRAL
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.synthesis.blink import upper_track
from ua3dtalk.synthesis.driving import read_driving
from ua3dtalk.synthesis.options import AUTO, SynthesisOptions
from ua3dtalk.synthesis.pose import PosePath, file_path, source_path, still_path
from ua3dtalk.synthesis.target import Target, TargetLoop
from ua3dtalk.synthesis.timeline import read_timeline, timeline_track

FPS = 25.0
SILENCE_DB = -60.0
_LEVEL_WINDOW_S = 0.1


@dataclass(frozen=True)
class Drive:
    """What drives T frames; with sound and speech features about 9 kB per frame (0.8 GB for an hour)."""

    conditions: ConditionTrack
    """Conditions."""
    viewmats: Float64[np.ndarray, "t 4 4"]
    """World to camera."""
    torso: Int64[np.ndarray, " t"]
    """Loop frame whose torso stands behind the head."""
    features: PriorFeatures
    """What the priors heard."""
    asked: EmotionMix | None
    """Emotions asked for per frame; None where they came from the voice."""
    borrowed: tuple[str, ...] = ()
    """Those of them that other people lend."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The strongest emotion asked for per frame, ``neutral`` where there is none."""
        if self.asked is None:
            return None
        names, strengths = self.asked.leading()
        return tuple(name if strength > 0 else NEUTRAL for name, strength in zip(names, strengths, strict=True))

    @property
    def intensity(self) -> Float32[np.ndarray, " t"] | None:
        """Strength of all emotions asked for per frame, 0..1."""
        return None if self.asked is None else self.asked.leading()[1]

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
    progress: Progress = Silent(),  # noqa: B008
) -> Drive:
    """Conditions, poses and torsos for a speech.

    Args:
        avatar: Who speaks.
        speech: Features of the speech, by the encoder that the avatar was trained with.
        num_frames: T.
        options: What the user asked for.
        generator: For generated blinks.
        progress: Where the reading of a driving video is reported.

    Raises:
        UserError: an emotion that the subject never showed, or a bad timeline, driving video or pose file.
    """
    askable = avatar.priors.askable
    asked = requested_emotion(askable, num_frames, options, progress)
    path = pose_path(avatar.loop, num_frames, options.pose)
    features = avatar.priors.features(speech, num_frames, asked, path.viewmats)
    upper = upper_track(avatar.loop.upper, path.phase, options.blink, generator, FPS) + features.upper_offset
    conditions = ConditionTrack.from_arrays(
        audio=speech.windows(num_frames, FPS),
        upper=upper.astype(np.float32),
        lower=features.lower,
        content=features.content,
        style=features.style,
        emotion=features.emotion,
        present=features.present,
    )
    # The same numbers are not kept twice: of an hour they are 100 MB.
    shared = {name: getattr(conditions, name).numpy() for name in ("lower", "content", "style", "emotion")}
    borrowed = () if asked is None else asked.used_beyond(askable.own)
    return Drive(conditions, path.viewmats, path.torso, replace(features, **shared), asked, borrowed)


def requested_emotion(
    askable: Askable,
    num_frames: int,
    options: SynthesisOptions,
    progress: Progress = Silent(),  # noqa: B008
) -> EmotionMix | None:
    """Strength of every label in every frame, or None where the voice decides.

    Raises:
        UserError: an emotion that the subject never showed and nobody may lend, a bad timeline or driving video.
    """
    if options.emotion_from is not None:
        reading = read_driving(options.emotion_from, askable, options.extrapolate, progress, num_frames / FPS)
        mix = follow(reading.mix(), num_frames, options.intensity)
    elif options.timeline is not None:
        known = sorted({*askable.own, *askable.lent})
        mix = timeline_track(read_timeline(options.timeline, known, num_frames / FPS), num_frames, FPS)
    elif options.emotion.strip() == AUTO:
        return None
    else:
        mix = EmotionRequest(options.emotion, options.intensity).mix(num_frames)
    names = tuple(askable.find(name, options.extrapolate) for name in mix.labels)
    asked = EmotionMix(names, mix.strengths, options.extrapolate)
    if borrowed := asked.used_beyond(askable.own):
        log.warning("Borrowed from other people, because the subject never showed it: %s.", ", ".join(borrowed))
    return asked


def follow(mix: EmotionMix, num_frames: int, factor: float) -> EmotionMix:
    """The emotions of a driving video for another length: cut, or its last frame held."""
    strengths = mix.strengths[:num_frames]
    if len(strengths) < num_frames:
        log.warning(
            "The driving video ends at %.1f s, the speech at %.1f s: its last emotion is held.",
            len(strengths) / FPS,
            num_frames / FPS,
        )
        held = np.repeat(strengths[-1:], num_frames - len(strengths), axis=0)
        strengths = np.concatenate([strengths, held])
    return EmotionMix(mix.labels, (strengths * factor).astype(np.float32))


def pose_path(loop: TargetLoop, num_frames: int, pose: str) -> PosePath:
    """Head poses as asked for: ``source``, ``still`` or a file."""
    if pose == "source":
        return source_path(loop.viewmats, num_frames)
    if pose == "still":
        return still_path(loop.viewmats, num_frames)
    return file_path(Path(pose), loop.viewmats, num_frames)
