"""The subject folder: what ``prepare`` writes and every later stage reads (DESIGN §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32, UInt8

from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256, read_json, write_json
from ua3dtalk.subject.consent import Consent
from ua3dtalk.subject.frames import FrameFolder, read_grey, read_picture
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.records import are_records
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.track_data import TrackData

SCHEMA_VERSION = 1
FPS = 25.0
SAMPLE_RATE_HZ = 16000
STAGES = ("frames", "landmarks", "pose", "parsing", "expression", "layers", "audio")
"""Stages of ``prepare`` in order; each one's output depends on those before it."""
AGAIN = "Run `ua3dtalk prepare` again."


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """Where a subject comes from."""

    name: str
    """File name of the video."""
    sha256: str
    """SHA-256 of the video, hex."""
    num_frames: int
    """Frames at 25 fps; 0 until the frames stage has counted them."""
    width: int
    """Stored frame width, pixels; 0 until known."""
    height: int
    """Stored frame height, pixels; 0 until known."""
    labels: tuple[EmotionSpan, ...] = ()
    """Emotions that the user named."""


class Subject:
    """A subject folder. Made by ``Subject.create`` (prepare) or ``Subject.open`` (everything else)."""

    fps = FPS

    def __init__(
        self, folder: Path, source: SourceFacts, stages: dict[str, dict[str, Any]], consent: Consent | None = None
    ) -> None:
        self.folder = folder
        self.source = source
        self.consent = consent
        """That the person agreed; None in folders that older versions made, or the library without asking."""
        self._stages = stages
        self._frames = FrameFolder(folder / "frames", ".jpg", 3)
        self._parsing = FrameFolder(folder / "parsing", ".png", 1)
        self._torso = FrameFolder(folder / "torso", ".png", 4)

    @staticmethod
    def create(folder: Path, source: SourceFacts, consent: Consent | None = None) -> Subject:
        """A new, empty subject folder (the folder may exist; an old ``subject.json`` is replaced)."""
        folder.mkdir(parents=True, exist_ok=True)
        subject = Subject(folder, source, {}, consent)
        subject._write()
        return subject

    @staticmethod
    def open(folder: Path, required: Iterable[str] = STAGES) -> Subject:
        """Open a subject folder and check it: every recorded file must be there and unaltered.

        Args:
            folder: The subject folder.
            required: Stages that must be finished.

        Raises:
            UserError: no subject, another schema, a stage unfinished, a file missing or altered (named).
        """
        subject = Subject.resume(folder)
        for stage in required:
            if stage not in subject._stages:
                raise UserError(f"{folder} is not fully prepared: stage {stage!r} has not finished.", AGAIN)
        for stage in subject._stages:
            subject._check_stage(stage)
        return subject

    @staticmethod
    def resume(folder: Path) -> Subject:
        """Open a subject folder that may be unfinished, without looking at its files.

        Raises:
            UserError: no subject, or another schema.
        """
        index = folder / "subject.json"
        if not index.is_file():
            raise UserError(f"{folder} is not a subject folder (no subject.json).", "Make one: `ua3dtalk prepare`.")
        plain = read_json(index)
        schema = plain.get("schema") if isinstance(plain, dict) else None
        if schema != SCHEMA_VERSION:
            raise UserError(f"{index} has schema {schema!r}, this version reads {SCHEMA_VERSION}.", AGAIN)
        if not isinstance(plain.get("source"), dict) or not are_records(plain.get("stages")):
            raise UserError(f"{index} is damaged.", AGAIN)
        given = plain.get("consent")
        consent = None if given is None else from_plain(Consent, given, f"{index}: consent")
        return Subject(folder, from_plain(SourceFacts, plain["source"], str(index)), plain["stages"], consent)

    # --- facts ---------------------------------------------------------------------------------------------------

    @property
    def num_frames(self) -> int:
        """Frames at 25 fps."""
        return self.source.num_frames

    @property
    def width(self) -> int:
        """Frame width, pixels."""
        return self.source.width

    @property
    def height(self) -> int:
        """Frame height, pixels."""
        return self.source.height

    @property
    def source_sha256(self) -> str:
        """SHA-256 of the source video."""
        return self.source.sha256

    @property
    def labels(self) -> list[EmotionSpan]:
        """Emotions that the user named, by start."""
        return list(self.source.labels)

    @property
    def has_audio(self) -> bool:
        """Whether there is sound that can be learned from: present and not silent."""
        facts = self._stages.get("audio", {}).get("facts", {})
        return bool(facts.get("present")) and not facts.get("silent", False)

    def set_size(self, num_frames: int, width: int, height: int) -> None:
        """Record what the frames stage found."""
        self.source = replace(self.source, num_frames=num_frames, width=width, height=height)
        self._write()

    def set_labels(self, labels: tuple[EmotionSpan, ...]) -> None:
        """Record the emotions that the user named."""
        self.source = replace(self.source, labels=labels)
        self._write()

    def set_consent(self, consent: Consent) -> None:
        """Record that the person agreed."""
        self.consent = consent
        self._write()

    def facts(self, stage: str) -> dict[str, Any]:
        """What a finished stage recorded about itself.

        Raises:
            UserError: the stage has not finished.
        """
        if stage not in self._stages:
            raise UserError(f"{self.folder}: stage {stage!r} has not finished.", AGAIN)
        return dict(self._stages[stage]["facts"])

    # --- stages --------------------------------------------------------------------------------------------------

    def stage_done(self, stage: str, settings: Mapping[str, Any] | None = None) -> bool:
        """Whether a stage has finished, with these settings (if given) and its files still in place."""
        record = self._stages.get(stage)
        if record is None or (settings is not None and record["settings"] != to_plain(dict(settings))):
            return False
        try:
            self._check_stage(stage)
        except UserError:
            return False
        return True

    def finish_stage(
        self, stage: str, files: Iterable[str], facts: Mapping[str, Any], settings: Mapping[str, Any] | None = None
    ) -> None:
        """Record a finished stage.

        Args:
            stage: Its name.
            files: Names of files and folders below the subject folder that it wrote.
            facts: What it found out; JSON values.
            settings: What its output depends on besides earlier stages; compared by ``stage_done``.
        """
        paths = {name: self.folder / name for name in files}
        self._stages[stage] = {
            "settings": to_plain(dict(settings or {})),
            "files": {
                name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
                for name, path in paths.items()
                if path.is_file()
            },
            "folders": {name: _count(path) for name, path in paths.items() if path.is_dir()},
            "facts": to_plain(dict(facts)),
        }
        self._write()

    def drop_stage(self, stage: str) -> None:
        """Forget a stage and, for a stage of ``prepare``, all that were made from it."""
        start = STAGES.index(stage) if stage in STAGES else None
        for name in list(self._stages):
            later = start is not None and (name not in STAGES or STAGES.index(name) >= start)
            if name == stage or later:
                del self._stages[name]
        self._write()

    def _check_stage(self, stage: str) -> None:
        record = self._stages[stage]
        for name, want in record["files"].items():
            path = self.folder / name
            if not path.is_file():
                raise UserError(f"{path} is missing.", AGAIN)
            if path.stat().st_size != want["bytes"] or file_sha256(path) != want["sha256"]:
                raise UserError(f"{path} was altered after it was written.", AGAIN)
        for name, count in record["folders"].items():
            found = _count(self.folder / name)
            if found != count:
                raise UserError(f"{self.folder / name} holds {found} files, expected {count}.", AGAIN)

    def _write(self) -> None:
        plain = {
            "schema": SCHEMA_VERSION,
            "source": to_plain(self.source),
            "consent": to_plain(self.consent),
            "fps": FPS,
            "stages": self._stages,
        }
        write_json(self.folder / "subject.json", plain)

    # --- readers -------------------------------------------------------------------------------------------------

    def frame(self, i: int) -> UInt8[np.ndarray, "h w 3"]:
        """Frame ``i``, RGB."""
        return self._frames.read(i)

    def grey(self, i: int) -> UInt8[np.ndarray, "h w"]:
        """Brightness of frame ``i``, decoded anew: for those who go through the frames once."""
        return read_grey(self._frames.path(i))

    def parsing(self, i: int) -> UInt8[np.ndarray, "h w"]:
        """Labels of frame ``i``, values of ``subject.labels.Label``."""
        return self._parsing.read(i)

    def torso(self, i: int) -> UInt8[np.ndarray, "h w 4"]:
        """Torso and neck of frame ``i``, RGBA with straight alpha, filled in behind the chin."""
        return self._torso.read(i)

    def background(self) -> UInt8[np.ndarray, "h w 3"]:
        """The picture behind the person, RGB."""
        return read_picture(self.folder / "background.png", 3)

    def track(self) -> TrackData:
        """Pose, landmarks and expression of all frames."""
        return TrackData.load(self.folder / "track.npz")

    def speech(self) -> SpeechFeatures:
        """Speech features, in the picture's time."""
        return SpeechFeatures.load(self.folder / "speech.npz")

    def audio(self) -> Float32[np.ndarray, " s"]:
        """The sound, 16 kHz mono.

        Raises:
            UserError: the video had none, or the file cannot be read.
        """
        path = self.folder / "audio.flac"
        if not path.is_file():
            raise UserError(f"{self.folder} has no sound (audio.flac).", "Prepare a video with sound.")
        try:
            samples, _ = soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise UserError(f"{path} cannot be read ({error}).", AGAIN) from error
        return samples


def _count(folder: Path) -> int:
    return sum(not entry.name.startswith(".") for entry in folder.iterdir()) if folder.is_dir() else 0
