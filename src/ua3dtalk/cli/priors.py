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
    """Train the content prior (speech to the lips of an average speaker) on clips of three people or more."""

    clips: Positional[Annotated[tuple[str, ...], arg(metavar="[PERSON=]CLIP...")]]
    """Subject folders (their training frames) or videos; PERSON= before clips of the same person."""
    out: Annotated[Path, arg(metavar="PRIOR.safetensors")]
    """The weights to write."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Also hear with a speech model of transformers: a folder, or a name once downloaded. Default: middle layer."""

    def run(self, progress: Progress) -> Report:
        out = output_file(self.out, ".safetensors", "--out")
        from ua3dtalk.priors.content_training import train_content
        from ua3dtalk.priors.speech_choice import open_encoder
        from ua3dtalk.recipes.content_clips import load_clip, person_and_path

        named = [person_and_path(clip) for clip in self.clips]
        for _, path in named:
            if path.is_dir():
                existing_folder(path, "the subject", "subject.json", "prepare VIDEO --out SUBJECT")
            else:
                existing_file(path, "the clip")
        encoder = open_encoder(self.speech_encoder)  # before the long work
        clips = [load_clip(path, person) for person, path in track(progress, "content: lips", named)]
        facts = train_content(clips, out, encoder=encoder, progress=progress).facts
        return Report(f"{table(facts)}\nThe content prior is {out}.", facts)


@dataclass(frozen=True, kw_only=True)
class TrainEmotion(Command):
    """Train the emotion teacher on acted speech, and measure it on speakers it has not heard."""

    table: Positional[Annotated[Path, arg(metavar="TABLE.csv")]]
    """Recordings: a CSV with the columns file, speaker, label and, if known, intensity (0..1); one label is neutral."""
    out: Annotated[Path, arg(metavar="TEACHER.safetensors")]
    """The weights to write."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Also hear with a speech model of transformers: a folder, or a name once downloaded. Default: middle layer."""
    seed: int = 0
    """Seed of everything random."""

    def run(self, progress: Progress) -> Report:
        out = output_file(self.out, ".safetensors", "--out")
        recordings = read_recordings(existing_file(self.table, "the table"))
        from ua3dtalk.media.audio import read_audio
        from ua3dtalk.priors.emotion_training import EmotionConfig, Utterance, train_emotion
        from ua3dtalk.priors.speech_choice import open_encoder

        encoder = open_encoder(self.speech_encoder)
        utterances = [
            Utterance(
                speaker=recording.speaker,
                label=recording.label,
                audio=read_audio(recording.file)[0],
                intensity=recording.intensity,
            )
            for recording in track(progress, "emotion: reading", recordings)
        ]
        facts = train_emotion(utterances, out, EmotionConfig(seed=self.seed), encoder, progress).facts
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
