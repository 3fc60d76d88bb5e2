"""``ua3dtalk prepare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.consent import asking
from ua3dtalk.cli.findings import described, findings_of
from ua3dtalk.cli.inputs import existing_file, output_folder
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Prepare(Command):
    """Track a portrait video: frames, head pose, masks, expression and speech, into a subject folder."""

    video: Positional[Annotated[tuple[Path, ...], arg(metavar="VIDEO...", help_behavior_hint="(required)")]]
    """Any video with one speaker who faces the camera; or several of the same person by the same camera."""
    out: Annotated[Path, arg(metavar="SUBJECT")]
    """The subject folder to write; an unfinished one is gone on with."""
    size: int = 512
    """Largest side of the prepared frames in pixels; smaller videos keep their size."""
    start_s: float = 0.0
    """Where to begin in each video, in seconds."""
    max_seconds: Annotated[float | None, arg(metavar="SECONDS")] = None
    """How much of each video to use; all of it if not given."""
    labels: Annotated[tuple[str, ...], arg(metavar="EMOTION...|CSV", help_behavior_hint="(default: none)")] = ()
    """The emotion that each video shows, in their order; or a table of one video: start_s, end_s, label, intensity."""
    face_model: Annotated[Path | None, arg(metavar="PATH")] = None
    """A MediaPipe face_landmarker.task to track with, in place of the model that comes with MediaPipe."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Also hear with a speech model of transformers (wav2vec 2.0, HuBERT, ...): a folder, or a name once downloaded."""
    content_prior: Annotated[Path | None, arg(metavar="PRIOR")] = None
    """Content prior from `priors train-content`, of the same speech encoder, in place of the package's."""
    emotion_prior: Annotated[Path | None, arg(metavar="TEACHER")] = None
    """Emotion teacher from `priors train-emotion`, in place of the package's."""
    i_have_consent: bool = False
    """The person in the video agreed to an avatar; without this you are asked, once for each subject."""

    when_stopped = "Run the same command again: finished stages are kept."

    def run(self, progress: Progress) -> Report:
        if not self.video:
            raise UserError("No video is named.", "Name at least one: `ua3dtalk prepare VIDEO --out SUBJECT`.")
        videos = tuple(existing_file(video, "the video") for video in self.video)
        out = output_folder(self.out, "--out")
        table, emotions = self._labels()
        face_model = existing_file(self.face_model, "--face-model") if self.face_model else None
        self._check_numbers()
        content = existing_file(self.content_prior, "--content-prior") if self.content_prior else None
        emotion = existing_file(self.emotion_prior, "--emotion-prior") if self.emotion_prior else None
        from ua3dtalk.priors.speech_choice import SpeechChoice
        from ua3dtalk.recipes.prepare import prepare_subject
        from ua3dtalk.tracking.prepare_config import PrepareConfig

        config = PrepareConfig(
            size=self.size,
            start_s=self.start_s,
            max_seconds=self.max_seconds,
            labels=table,
            video_labels=emotions,
            face_model=face_model,
        )
        speech = SpeechChoice(model=self.speech_encoder, content=content, emotion=emotion)
        ask = asking(", ".join(map(str, videos)), self.i_have_consent)
        subject = prepare_subject(videos, out, config, speech=speech, ask=ask, progress=progress)
        text, found = findings_of(subject)
        size, values = described(subject)
        return Report(f"{size} {text}", values | found)

    def _labels(self) -> tuple[Path | None, tuple[str, ...]]:
        """The table, or the emotions by video."""
        if len(self.labels) == 1 and (Path(self.labels[0]).suffix == ".csv" or Path(self.labels[0]).is_file()):
            return existing_file(Path(self.labels[0]), "--labels"), ()
        emotions = tuple(name.strip().lower() for name in self.labels)
        for name in emotions:
            if not name.replace(" ", "").replace("-", "").replace("_", "").isalpha():
                raise UserError(
                    f"--labels {name}: this is no emotion's name, and no table that exists.",
                    "Name one emotion for each video, as in `--labels happy sad`; or give one CSV for one video.",
                )
        return None, emotions

    def _check_numbers(self) -> None:
        if not 64 <= self.size <= 2048:
            raise UserError(f"--size {self.size} is out of range.", "Use 64 to 2048 pixels.")
        if not self.start_s >= 0:
            raise UserError(f"--start-s {self.start_s} is before the video begins.", "Use 0 or more.")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise UserError(f"--max-seconds {self.max_seconds} leaves nothing.", "Use more than 0.")
