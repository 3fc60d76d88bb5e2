"""``ua3dtalk priors``: train what is learnt from many speakers, and show what a prior was trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_file, existing_folder, output_file
from ua3dtalk.cli.recordings import read_recordings
from ua3dtalk.cli.results import table
from ua3dtalk.core.progress import Progress, track

PRIORS_FILE = "priors.safetensors"


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
    """Show what priors were trained on, and how good they are on what they have not seen."""

    path: Positional[Annotated[Path | None, arg(metavar="PATH")]] = None
    """A subject, an avatar, or a file of priors; without it: those that come with the package."""

    def run(self, progress: Progress) -> Report:
        file = self.path
        if file is not None:
            file = existing_file(file / PRIORS_FILE if file.is_dir() else file, "the priors")
        from ua3dtalk.priors.fitted import Priors
        from ua3dtalk.priors.show import describe

        rows = describe(Priors.load(file) if file else None)
        text = "\n".join(f"{row.name}\n  trained on  {row.trained_on}\n  measured    {row.figures}" for row in rows)
        return Report(text, {"priors": [asdict(row) for row in rows]})
