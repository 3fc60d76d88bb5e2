"""``ua3dtalk import``."""

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
class Import(Command):
    """Make a subject of a folder that TalkingGaussian, ER-NeRF, RAD-NeRF or their kin prepared (docs/importing.md)."""

    folder: Positional[Annotated[Path, arg(metavar="FOLDER")]]
    """The folder that holds transforms_train.json, ori_imgs, parsing, torso_imgs, bc.jpg and aud.wav."""
    out: Annotated[Path, arg(metavar="SUBJECT")]
    """The subject folder to write; an unfinished one is gone on with."""
    size: int = 512
    """Largest side of the frames in pixels; smaller pictures keep their size."""
    labels: Annotated[Path | None, arg(metavar="CSV")] = None
    """Table of emotions in the recording: start_s, end_s, label, intensity."""
    face_model: Annotated[Path | None, arg(metavar="PATH")] = None
    """A MediaPipe face_landmarker.task to track with, in place of the model that comes with MediaPipe."""
    speech_encoder: Annotated[str | None, arg(metavar="MODEL[:LAYER]")] = None
    """Also hear with a speech model of transformers (wav2vec 2.0, HuBERT, ...): a folder, or a name once downloaded."""
    content_prior: Annotated[Path | None, arg(metavar="PRIOR")] = None
    """Content prior from `priors train-content`, of the same speech encoder, in place of the package's."""
    emotion_prior: Annotated[Path | None, arg(metavar="TEACHER")] = None
    """Emotion teacher from `priors train-emotion`, in place of the package's."""
    i_have_consent: bool = False
    """The person in the pictures agreed to an avatar; without this you are asked, once for each subject."""

    when_stopped = "Run the same command again: finished stages are kept."

    def run(self, progress: Progress) -> Report:
        if not self.folder.is_dir():
            raise UserError(f"the folder {self.folder} does not exist or is no folder.", "Check the path.")
        out = output_folder(self.out, "--out")
        labels = existing_file(self.labels, "--labels") if self.labels else None
        face_model = existing_file(self.face_model, "--face-model") if self.face_model else None
        if not 64 <= self.size <= 2048:
            raise UserError(f"--size {self.size} is out of range.", "Use 64 to 2048 pixels.")
        content = existing_file(self.content_prior, "--content-prior") if self.content_prior else None
        emotion = existing_file(self.emotion_prior, "--emotion-prior") if self.emotion_prior else None
        from ua3dtalk.priors.speech_choice import SpeechChoice
        from ua3dtalk.recipes.import_dataset import import_subject
        from ua3dtalk.tracking.prepare_config import PrepareConfig

        config = PrepareConfig(size=self.size, labels=labels, face_model=face_model)
        speech = SpeechChoice(model=self.speech_encoder, content=content, emotion=emotion)
        ask = asking(str(self.folder), self.i_have_consent)
        subject = import_subject(self.folder, out, config, speech=speech, ask=ask, progress=progress)
        poses = subject.facts("pose")
        units = subject.facts("expression")["action_units_imported"]
        text, values = described(subject)
        values |= {"imported_poses": poses["imported_poses"], "action_units_imported": units}
        difference = poses["imported_poses"]["rotation_difference_median_deg"]
        text += f"\nPoses are measured anew, {difference:.1f} degrees (median) from the folder's."
        report, found = findings_of(subject)
        return Report(f"{text}\n{report}", values | found)
