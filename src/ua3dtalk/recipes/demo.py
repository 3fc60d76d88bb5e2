"""Everything at once, on the embedded synthetic actor: no video, no network, minutes on two cores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ua3dtalk.core.files import atomic_path, write_json
from ua3dtalk.core.progress import Progress, Silent
from ua3dtalk.media.audio import SAMPLE_RATE_HZ, write_flac
from ua3dtalk.recipes.evaluate import evaluate_avatar
from ua3dtalk.recipes.prepare import prepare_subject
from ua3dtalk.recipes.presets import preset
from ua3dtalk.recipes.synthesize import synthesize_video
from ua3dtalk.recipes.train import train_avatar
from ua3dtalk.subject.actor.config import ActorConfig
from ua3dtalk.subject.actor.generate import EMOTION_NAME, VIDEO_NAME, generate_actor, synthesize_voice
from ua3dtalk.subject.consent import synthetic
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.tracking.prepare_config import PrepareConfig

EMOTIONS = ("neutral", "happy", "sad", "angry")
SECONDS_EACH = 3.0
MAX_STEPS = 2600
"""Steps of the demo's training, all stages together; the quick preset itself has more."""


@dataclass(frozen=True)
class DemoPlaces:
    """Where everything lies."""

    root: Path

    @property
    def actor(self) -> Path:
        """The synthetic actor's video and truth."""
        return self.root / "actor"

    @property
    def subject(self) -> Path:
        """The subject folder."""
        return self.root / "subject"

    @property
    def avatar(self) -> Path:
        """The avatar folder."""
        return self.root / "avatar"

    @property
    def report(self) -> Path:
        """The evaluation."""
        return self.root / "report"

    @property
    def speech(self) -> Path:
        """New speech that the avatar was not trained on."""
        return self.root / "speech.flac"

    @property
    def timeline(self) -> Path:
        """The emotions of the new speech."""
        return self.root / "emotions.csv"

    @property
    def video(self) -> Path:
        """The talking avatar."""
        return self.root / "talking.mp4"

    @property
    def confidence(self) -> Path:
        """Its uncertainty as heat."""
        return self.root / "confidence.mp4"


def run_demo(out: Path, *, device: torch.device | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Generate the actor, prepare it through the same tracker, train, let it speak in four emotions, evaluate.

    A step that is finished is not done again.

    Args:
        out: Folder to write.
        device: Where to compute; None is the CPU.
        progress: Where to report.

    Returns:
        Where to look, and the main numbers.
    """
    report = progress or Silent()
    places = DemoPlaces(out)
    if not (places.actor / EMOTION_NAME).exists():
        generate_actor(places.actor, ActorConfig(), report)
    config = PrepareConfig(labels=places.actor / EMOTION_NAME)
    prepare_subject(places.actor / VIDEO_NAME, places.subject, config, ask=synthetic, progress=report)
    if not (places.avatar / "avatar.json").exists():
        steps = preset("quick", max_steps=MAX_STEPS)
        train_avatar(places.subject, places.avatar, steps, device=device, resume=True, progress=report)
    write_new_speech(places)
    options = SynthesisOptions(timeline=places.timeline, confidence=places.confidence, report=out / "talking.json")
    synthesize_video(places.avatar, places.speech, places.video, options=options, device=device, progress=report)
    metrics = evaluate_avatar(places.avatar, places.report, device=device, progress=report)
    summary = {
        "talking avatar, four emotions": str(places.video),
        "where it expects to be wrong": str(places.confidence),
        "report": str(places.report / "index.html"),
        "side by side with the real video": str(places.report / "side_by_side.mp4"),
        "driven head PSNR (dB)": _number(metrics["rows"]["driven"]["regions"]["head"]["psnr_db"]["mean"]),
        "driven mouth opening r": _number(metrics["rows"]["driven"]["opening"]["correlation"]),
    }
    write_json(out / "summary.json", summary)
    return summary


def write_new_speech(places: DemoPlaces) -> None:
    """One recording with a stretch for each emotion, and the timeline that names them."""
    parts, rows, start = [], ["start_s,end_s,label,intensity"], 0.0
    for emotion in EMOTIONS:
        speech = synthesize_voice(emotion, 0.0 if emotion == "neutral" else 1.0, SECONDS_EACH)
        parts.append(speech.audio)
        end = start + len(speech.audio) / SAMPLE_RATE_HZ
        rows.append(f"{start:.3f},{end:.3f},{emotion},{0.0 if emotion == 'neutral' else 1.0:.1f}")
        start = end
    write_flac(places.speech, np.concatenate(parts))
    with atomic_path(places.timeline) as partial:
        partial.write_text("\n".join(rows) + "\n")


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
