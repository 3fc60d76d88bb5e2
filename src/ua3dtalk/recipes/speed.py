"""How fast a loaded avatar speaks a piece of sound."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.core.provenance import AI_GENERATED
from ua3dtalk.evaluation.speed import StageClock, speed_facts
from ua3dtalk.media.audio import SAMPLE_RATE_HZ
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.priors.speech_choice import open_encoder
from ua3dtalk.synthesis.drive import FPS, frames_of, make_drive
from ua3dtalk.synthesis.options import SynthesisOptions

MOST_FRAMES = 50


def measure_speed(avatar: Avatar, samples: np.ndarray, speech_encoder: str | None = None) -> dict[str, Any]:
    """Time an avatar from sound to encoded frames, stage by stage, one after the other.

    Stages: *hear* (speech features) and *think* (priors, conditions) once for the whole sound; then for every frame
    *render* (motion, splatting, composition) and *encode* (H.264 at the rate of ``synthesize``). *motion* is the part
    of *render* before splatting, measured by itself.

    Args:
        avatar: Who speaks; already loaded. Its kernels should have run before.
        samples: Speech, 16 kHz mono; at most ``MOST_FRAMES`` frames of it are used.
        speech_encoder: ``MODEL[:LAYER]``, where the avatar's speech model lies if it has moved.

    Returns:
        See ``evaluation.speed.speed_facts``, and the motion's median.
    """
    samples = samples[: int(MOST_FRAMES / FPS * SAMPLE_RATE_HZ)]
    clock, motion = StageClock(), StageClock()
    encoder = open_encoder(speech_encoder or avatar.priors.model, avatar.priors.encoder)
    options, generator = SynthesisOptions(), np.random.default_rng(0)
    with clock.stage("hear"):
        speech = encoder.encode(samples)
    with clock.stage("think"):
        drive = make_drive(avatar, speech, frames_of(samples), options, generator)
    with tempfile.TemporaryDirectory() as folder:
        tags = {"comment": AI_GENERATED}
        with VideoWriter(Path(folder) / "speed.mp4", FPS, (avatar.width, avatar.height), samples, metadata=tags) as out:
            for i in range(len(drive)):
                conditions = drive.conditions.frame(i)
                with clock.stage("render"):
                    frame = avatar.render(conditions, drive.viewmats[i], int(drive.torso[i]))
                with clock.stage("encode"):
                    out.write(frame.image)
    for i in range(min(len(drive), 50)):
        with motion.stage("motion"):
            avatar.splats(drive.conditions.frame(i))
    facts = speed_facts(clock, ("hear", "think"), ("render", "encode"))
    return facts | {"sound_s": len(samples) / SAMPLE_RATE_HZ, "motion_p50_ms": _median_ms(motion)}


def _median_ms(clock: StageClock) -> float:
    return round(float(np.median(clock.seconds["motion"])) * 1000, 3)
