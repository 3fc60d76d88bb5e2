"""Avatar and speech to a video with sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ua3dtalk.avatar.familiarity import Familiarity
from ua3dtalk.avatar.storage import load_avatar, read_index
from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.priors.speech_choice import open_encoder
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.synthesis.drive import frames_of, read_speech, requested_emotion
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.write import Known, synthesize

BLINK_SEED = 0


def synthesize_video(
    avatar: Path,
    audio: Path,
    out: Path,
    *,
    options: SynthesisOptions | None = None,
    exact: bool = False,
    speech_encoder: str | None = None,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Let an avatar say what is heard in a file.

    Args:
        avatar: Avatar folder.
        audio: Any audio or video file with speech.
        out: MP4 to write.
        options: Emotion, pose, blinks, heat video, report; None for the defaults.
        exact: Run its networks at every Gaussian, not only at anchors (several times the work).
        speech_encoder: ``MODEL[:LAYER]``, where the avatar's speech model lies if it has moved.
        device: Where to render; None is the CPU.
        progress: Where to report.

    Returns:
        Frames, lengths of picture and sound in seconds, the error to expect where it was asked for, the back-end, and
        whether the video says that it was made by a machine, and is signed (C2PA, where ``c2pa-python`` is there).

    Raises:
        UserError: bad input, or an avatar of another speech encoder; nothing half-written stays.
    """
    report = progress or Silent()
    target = device or torch.device("cpu")
    samples = read_speech(audio)
    loaded = load_avatar(avatar, make_rasterizer(target), target, exact)
    encoder = open_encoder(speech_encoder or loaded.priors.model, loaded.priors.encoder)
    options = options or SynthesisOptions()
    if options.emotion_from is None:  # say what is wrong before the long work
        requested_emotion(loaded.priors.askable, frames_of(samples), options)
    speech = encoder.encode(samples, report)
    facts = {"avatar": str(avatar), "audio": str(audio), "backend": loaded.rasterizer.name}
    whom = read_index(avatar)["subject_sha256"]
    familiarity = Familiarity.find(avatar, loaded.priors.content)
    known = Known(familiarity=familiarity, subject_sha256=whom, facts=facts)
    generator = np.random.default_rng(BLINK_SEED)
    result = synthesize(loaded, samples, speech, out, options, generator, report, known)
    return {
        "out": str(out),
        "frames": result.frames,
        "video_s": result.video_s,
        "audio_s": result.audio_s,
        **({} if result.expected_error is None else {"expected_error": round(result.expected_error, 4)}),
        "backend": loaded.rasterizer.name,
        "marked": options.marked,
        "signed": result.signed,
    }
