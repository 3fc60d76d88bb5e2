"""``ua3dtalk synthesize``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.cli.inputs import existing_file, existing_folder, output_file
from ua3dtalk.cli.results import table
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Synthesize(Command):
    """Let an avatar speak: any speech in, a video with sound out."""

    avatar: Positional[Annotated[Path, arg(metavar="AVATAR")]]
    """What `ua3dtalk train` made."""
    audio: Annotated[Path, arg(metavar="SPEECH")]
    """The speech: any sound file, or a video with sound."""
    out: Annotated[Path, arg(metavar="OUT.mp4")]
    """The video to write."""
    emotion: str = "auto"
    """auto (from the voice), neutral, or a label that the subject's video was prepared with, such as happy."""
    intensity: float = 1.0
    """How strong the emotion is, from 0 to 1; with --emotion-from a factor."""
    timeline: Annotated[Path | None, arg(metavar="FILE")] = None
    """Emotions over time: a CSV with start_s, end_s, label, intensity; or time_s, label, intensity."""
    emotion_from: Annotated[Path | None, arg(metavar="VIDEO")] = None
    """A video of anybody whose face shows the emotion over time: how happy, sad or angry it looks is read from it."""
    extrapolate: bool = False
    """Borrow the motion of other people for emotions that the subject never showed, in place of refusing them."""
    pose: str = "source"
    """Head movement: source (the subject's own, to and fro), still, or an .npz file with viewmats."""
    blink: str = "source"
    """Blinks: source, generated or none."""
    confidence: Annotated[Path | None, arg(metavar="MAP.mp4")] = None
    """Also write a video that shows where the picture is likely to be wrong, how much, and why."""
    side_by_side: bool = False
    """In that video, show the talking head beside the heat."""
    min_confidence: float = 0.0
    """Calm the motion where confidence in the speech is below this, 0 to 1, and mend features that disagree
    with the others: for noise and odd sounds. Off at 0; 0.1 leaves nine tenths of ordinary speech alone."""
    report: Annotated[Path | None, arg(metavar="REPORT.json")] = None
    """Also write what was done, and for every frame the error to expect, what to trust least, and why."""
    exact: bool = False
    """Run the networks at every Gaussian, not only at those that tell how the others move."""
    no_provenance: bool = False
    """Leave out the mark that says the video was made by a machine; that is logged."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Where the speech model lies that the subject was prepared with, if it has moved."""
    device: str = "auto"
    """Where to compute: auto, cpu or cuda."""

    overlaps = True  # networks, splatting and encoding

    def run(self, progress: Progress) -> Report:
        avatar = existing_folder(self.avatar, "the avatar", "avatar.json", "train SUBJECT --out AVATAR")
        audio = existing_file(self.audio, "--audio")
        out = output_file(self.out, ".mp4", "--out")
        self._check_places()
        from ua3dtalk.synthesis.options import SynthesisOptions

        options = SynthesisOptions(
            emotion=self.emotion,
            intensity=self.intensity,
            timeline=existing_file(self.timeline, "--timeline") if self.timeline else None,
            emotion_from=existing_file(self.emotion_from, "--emotion-from") if self.emotion_from else None,
            extrapolate=self.extrapolate,
            confidence=output_file(self.confidence, ".mp4", "--confidence") if self.confidence else None,
            side_by_side=self.side_by_side,
            min_confidence=self.min_confidence,
            report=output_file(self.report, ".json", "--report") if self.report else None,
            pose=self.pose,
            blink=self.blink,
            marked=not self.no_provenance,
        )
        from ua3dtalk.core.device import pick_device

        device = pick_device(self.device)
        from ua3dtalk.recipes.synthesize import synthesize_video

        values = synthesize_video(
            avatar,
            audio,
            out,
            options=options,
            exact=self.exact,
            speech_encoder=self.speech_encoder,
            device=device,
            progress=progress,
        )
        return Report(f"{table(values)}\nThe video is {out}.", values)

    def _check_places(self) -> None:
        if self.audio.resolve() == self.out.resolve():
            raise UserError("--out is the same file as --audio.", "Choose another name.")
        if self.confidence and self.confidence.resolve() == self.out.resolve():
            raise UserError("--confidence is the same file as --out.", "Choose another name.")
