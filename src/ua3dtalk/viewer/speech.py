"""What is said: sound files of the server's folder, uploads within limits, or nothing at all."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.audio import SAMPLE_RATE_HZ
from ua3dtalk.priors.speech_features import SpeechEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.synthesis.drive import frames_of, read_speech

SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg"),
)
"""Files that may hold speech."""
MAX_UPLOAD_BYTES = 100 * 2**20
MAX_SPEECH_S = 600.0
REST_S = 10.0
_NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Speech:
    """A recording, ready to drive an avatar."""

    name: str
    """For people; empty where nothing is said."""
    samples: Float32[np.ndarray, " s"]
    """16 kHz mono."""
    features: SpeechFeatures
    """By the encoder that the avatar was trained with."""

    @property
    def num_frames(self) -> int:
        """Frames that belong to it."""
        return frames_of(self.samples)


def silence(encoder: SpeechEncoder) -> Speech:
    """Nothing is said: the head rests, moves and blinks."""
    samples = np.zeros(round(REST_S * SAMPLE_RATE_HZ), np.float32)
    return Speech("", samples, encoder.encode(samples))


def load_speech(path: Path, encoder: SpeechEncoder, name: str | None = None) -> Speech:
    """Read and encode a recording.

    Args:
        path: The file.
        encoder: The avatar's.
        name: What to call it; None takes the file's name.

    Raises:
        UserError: another kind of file, no sound that can be read, silent, or too long to be held in memory.
    """
    shown = name or path.name
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{shown} is not a sound or video file by its name.", f"Use {', '.join(SUFFIXES)}.")
    samples = read_speech(path)
    duration_s = len(samples) / SAMPLE_RATE_HZ
    if duration_s > MAX_SPEECH_S:
        raise UserError(
            f"{shown} lasts {duration_s:.0f} s, the viewer takes {MAX_SPEECH_S:.0f} s.",
            "Cut it, or use `ua3dtalk synthesize`.",
        )
    return Speech(shown, samples, encoder.encode(samples))


def inside(folder: Path, typed: str) -> Path:
    """The file that was named in the page, inside the folder that the viewer may read.

    Raises:
        UserError: it leads out of the folder (links included), or there is no such file.
    """
    base, wanted = folder.resolve(), typed.strip()
    try:
        path = (base / wanted).resolve()
        if wanted and path.is_relative_to(base) and path.is_file():
            return path
    except (OSError, ValueError):
        pass
    # One sentence for both: the page is not told what lies outside.
    raise UserError(f"There is no file {wanted[:200]!r} in {base}.", "Name one relative to that folder.")


def load_upload(name: str, content: bytes, encoder: SpeechEncoder) -> Speech:
    """A recording that came from a browser; its name is used for nothing but its suffix and for showing it.

    Raises:
        UserError: too large, or see ``load_speech``.
    """
    shown = plain_name(name)
    if len(content) > MAX_UPLOAD_BYTES:
        raise UserError(
            f"{shown} has {len(content) / 2**20:.0f} MiB, the viewer takes {MAX_UPLOAD_BYTES / 2**20:.0f}.",
            "Give a shorter or compressed recording.",
        )
    suffix = Path(shown).suffix.lower()
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-") as folder:
        path = Path(folder) / f"upload{suffix if suffix in SUFFIXES else '.unknown'}"
        path.write_bytes(content)
        try:
            return load_speech(path, encoder, shown)
        except UserError as error:
            raise UserError(str(error).replace(str(path), shown)) from error


def plain_name(name: str) -> str:
    """The last part of a file name, printable and short."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in "<>&\"'")
    return kept[-_NAME_CHARACTERS:] or "upload"
