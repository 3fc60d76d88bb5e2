"""``ua3dtalk priors``: train what is learnt from many speakers, and show what a prior was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_file, existing_folder, output_file
from ua3dtalk.cli.recordings import read_recordings
from ua3dtalk.cli.results import table
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, track


@dataclass(frozen=True, kw_only=True)
class TrainContent(Command):
    """Train the content prior (speech to the lips of an average speaker) on subjects of three people or more."""

    subjects: Positional[Annotated[tuple[Path, ...], arg(metavar="SUBJECT...")]]
    """Subject folders; each counts as a speaker of its own."""
    out: Annotated[Path, arg(metavar="PRIOR.safetensors")]
    """The weights to write."""

    def run(self, progress: Progress) -> Report:
        out = output_file(self.out, ".safetensors", "--out")
        for subject in self.subjects:
            existing_folder(subject, "the subject", "subject.json", "prepare VIDEO --out SUBJECT")
        from ua3dtalk.priors.content_training import clip_from_subject, train_content
        from ua3dtalk.subject.store import Subject

        clips = [clip_from_subject(Subject.open(subject)) for subject in self.subjects]
        facts = train_content(clips, out, progress=progress).facts
        return Report(f"{table(facts)}\nThe content prior is {out}.", facts)


@dataclass(frozen=True, kw_only=True)
class TrainEmotion(Command):
    """Train the emotion teacher on acted speech, and measure it on speakers it has not heard."""

    table: Positional[Annotated[Path, arg(metavar="TABLE.csv")]]
    """Recordings: a CSV with the columns file, speaker, label; one label must be neutral."""
    out: Annotated[Path, arg(metavar="TEACHER.safetensors")]
    """The weights to write."""
    seed: int = 0
    """Seed of everything random."""

    def run(self, progress: Progress) -> Report:
        out = output_file(self.out, ".safetensors", "--out")
        recordings = read_recordings(existing_file(self.table, "the table"))
        from ua3dtalk.media.audio import read_audio
        from ua3dtalk.priors.emotion_training import EmotionConfig, Utterance, train_emotion

        utterances = [
            Utterance(speaker=recording.speaker, label=recording.label, audio=read_audio(recording.file)[0])
            for recording in track(progress, "emotion: reading", recordings)
        ]
        facts = train_emotion(utterances, out, EmotionConfig(seed=self.seed), progress=progress).facts
        return Report(f"{table(facts)}\nThe emotion teacher is {out}.", facts)


@dataclass(frozen=True, kw_only=True)
class Show(Command):
    """Show what priors were trained on."""

    path: Positional[Annotated[Path | None, arg(metavar="PATH")]] = None
    """A prior's file, or a folder that holds some (a subject, an avatar); without it: those of the package."""

    def run(self, progress: Progress) -> Report:
        from ua3dtalk.core.checkpoint import read_header
        from ua3dtalk.priors.content import SHIPPED

        path = self.path or SHIPPED.parent
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [existing_file(path, "the prior")]

        found: dict[str, dict[str, Any]] = {}
        for file in files:
            kind, header = read_header(file)
            if kind.startswith("prior"):
                found[file.name] = {"kind": kind, **header}
        if not found:
            raise UserError(f"{path} holds no priors.", "Priors are made by `ua3dtalk train`.")
        return Report("\n\n".join(f"{name}\n{table(facts)}" for name, facts in found.items()), found)
