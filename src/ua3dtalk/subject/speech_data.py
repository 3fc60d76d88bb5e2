"""Speech features of a recording, on the picture's time axis.

A audio frames (100 Hz), T video frames (25 fps), H hidden values of a speech model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float16, Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import ARCHIVE_ERRORS, atomic_path
from ua3dtalk.core.sequence import pieces

NUM_PHONES = 42
NUM_MEL = 80
VOICE_NAMES = ("pitch", "periodicity", "h1_h2", "h1_a1", "h1_a3", "cepstral_peak", "f1", "f2", "f3")
"""Columns of the voice tracks."""
NUM_VOICE = len(VOICE_NAMES)
SCHEMA = 2
"""Of the file; 1 had no voice tracks."""
WINDOW_STEPS = 16
STEP_S = 0.02
_BLOCK = 1000
AGAIN = "Run `ua3dtalk prepare` again."


@dataclass(frozen=True)
class SpeechFeatures:
    """Phones, log-mel and voice tracks of one recording; frame ``a`` is centred on ``a / rate_hz`` seconds."""

    phones: Float32[np.ndarray, "a 42"]
    """Posterior of each phone; rows sum to 1."""
    mel: Float32[np.ndarray, "a 80"]
    """Natural logarithm of the mel power spectrum; the floor is log(1e-6)."""
    voice: Float32[np.ndarray, "a 9"]
    """``VOICE_NAMES``: semitones over 27.5 Hz, periodicity 0..1, tilts and cepstral peak in dB, formants in kHz."""
    encoder: str
    """Name and hash of the encoder; features of different encoders do not mix."""
    rate_hz: float = 100.0
    """Frames per second."""
    joints: tuple[int, ...] = ()
    """Frames at which another recording begins: nothing looks across."""
    hidden: Float16[np.ndarray, "a h"] | None = None
    """Hidden states of the encoder's speech model; None for the default encoder, which has none."""
    model: str | None = None
    """Where that model was found: a folder, or the name under which it was downloaded."""

    def __post_init__(self) -> None:
        lengths = {name: len(track) for name, track in self.tracks.items()}
        if len(set(lengths.values())) > 1 or not len(self.mel):
            raise ValueError(f"Frames: {lengths}; equal and > 0 are needed.")
        shapes = [track.shape[1:] for track in (self.phones, self.mel, self.voice)]
        if shapes != [(NUM_PHONES,), (NUM_MEL,), (NUM_VOICE,)]:
            raise ValueError(f"Columns: {shapes}; {NUM_PHONES}, {NUM_MEL} and {NUM_VOICE} are needed.")
        if self.hidden is not None and (self.hidden.ndim != 2 or not self.hidden.shape[1]):
            raise ValueError(f"Hidden states are {self.hidden.shape}; [A, H] with H > 0 is needed.")
        if any(len(piece) < 1 for piece in pieces(len(self.mel), self.joints)):
            raise ValueError(f"Joints {self.joints} do not ascend from 1 to {len(self.mel) - 1}.")

    @property
    def num_audio_frames(self) -> int:
        """A."""
        return len(self.mel)

    @property
    def tracks(self) -> dict[str, np.ndarray]:
        """The arrays by name; each has a row for every frame."""
        tracks = {"phones": self.phones, "mel": self.mel, "voice": self.voice}
        return tracks if self.hidden is None else tracks | {"hidden": self.hidden}

    def holds(self, encoder: str) -> bool:
        """Whether an encoder's features are among these: see ``extends``."""
        return extends(self.encoder, encoder)

    @staticmethod
    def joined(recordings: Sequence[SpeechFeatures]) -> SpeechFeatures:
        """Recordings one after the other, all of one encoder and rate."""
        first = recordings[0]
        if any((one.encoder, one.rate_hz) != (first.encoder, first.rate_hz) for one in recordings):
            raise ValueError("Recordings to be joined must come from one encoder.")
        tracks = {name: np.concatenate([one.tracks[name] for one in recordings]) for name in first.tracks}
        starts = np.cumsum([one.num_audio_frames for one in recordings])[:-1].tolist()
        return replace(first, **tracks, joints=tuple(starts))

    def recordings(self, num_frames: int, fps: float = 25.0) -> list[tuple[SpeechFeatures, range]]:
        """Each recording by itself, with the video frames that it goes with.

        Args:
            num_frames: T; the last recording goes on to the end.
            fps: Video frames per second.
        """
        borders = [round(joint / self.rate_hz * fps) for joint in self.joints]
        found = []
        for sound, where in zip(pieces(self.num_audio_frames, self.joints), pieces(num_frames, borders), strict=True):
            found.append((self.part(sound.start, sound.stop), where))
        return found

    def part(self, first: int, stop: int) -> SpeechFeatures:
        """Frames ``first`` to ``stop`` of one recording."""
        return replace(self, **{name: track[first:stop] for name, track in self.tracks.items()}, joints=())

    def windows(self, num_frames: int, fps: float = 25.0) -> Float32[np.ndarray, "t 42 16"]:
        """The sound around each video frame, as the audio encoder reads it.

        Args:
            num_frames: T; may exceed the sound (the last value is repeated).
            fps: Video frames per second.

        Returns:
            Square roots of the phone posteriors at 16 steps of 20 ms, centred on each frame.
        """
        if self.joints:
            return np.concatenate([one.windows(len(where), fps) for one, where in self.recordings(num_frames, fps)])
        offsets_s = (np.arange(WINDOW_STEPS) - (WINDOW_STEPS - 1) / 2) * STEP_S
        roots = np.sqrt(smooth_20ms(self.phones))
        out = np.empty((num_frames, NUM_PHONES, WINDOW_STEPS), np.float32)
        for low in range(0, num_frames, _BLOCK):  # what is between takes four times as much memory as the result
            times_s = np.arange(low, min(low + _BLOCK, num_frames))[:, None] / fps + offsets_s  # [B, 16]
            sampled = sample_at(roots, times_s.ravel() * self.rate_hz)
            out[low : low + _BLOCK] = sampled.reshape(-1, WINDOW_STEPS, NUM_PHONES).transpose(0, 2, 1)
        return out

    @staticmethod
    def from_windows(windows: Float32[np.ndarray, "t 42 16"], encoder: str) -> SpeechFeatures:
        """The phones that were cut into windows, as far as these still tell; no loudness, no voice.

        Args:
            windows: As ``windows`` gives them at 25 frames per second: two steps from one to the next.
            encoder: What they were made with.
        """
        middle = WINDOW_STEPS // 2
        phones = np.square(windows[:, :, middle - 1 : middle + 1]).transpose(0, 2, 1).reshape(-1, NUM_PHONES)
        phones = phones / np.maximum(phones.sum(axis=1, keepdims=True), 1e-9)
        rate_hz = 2 / STEP_S
        index = np.arange(len(phones) * 2) / 2 + 0.5  # the first step lies half a step before the first frame
        shape = len(index), NUM_MEL
        return SpeechFeatures(
            sample_at(phones.astype(np.float32), index), np.zeros(shape, np.float32),
            np.zeros((len(index), NUM_VOICE), np.float32), encoder, rate_hz,
        )  # fmt: skip

    def shifted(self, shift_s: float) -> SpeechFeatures:
        """The same features where frame ``a`` holds what was heard at ``a / rate_hz + shift_s`` (edges repeated).

        Raises:
            ValueError: joined recordings, which have offsets of their own.
        """
        if self.joints:
            raise ValueError("Shift each recording before they are joined.")
        index = np.arange(self.num_audio_frames) + shift_s * self.rate_hz
        return replace(self, **{name: sample_at(track, index) for name, track in self.tracks.items()})

    def save(self, path: Path) -> None:
        """Write an ``.npz`` in one atomic step."""
        arrays = self.tracks | {"encoder": np.array(self.encoder)}
        arrays |= {"rate_hz": np.array(self.rate_hz), "schema": np.array(SCHEMA)}
        if self.joints:
            arrays["joints"] = np.array(self.joints)
        if self.model is not None:
            arrays["model"] = np.array(self.model)
        with atomic_path(path) as partial:
            np.savez(partial, **arrays)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> SpeechFeatures:
        """Read what ``save`` wrote.

        Raises:
            UserError: missing, damaged, of an older version, incomplete, or holding values that are not finite.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                if "voice" not in archive:
                    raise UserError(f"{path} was written by an older version and has no voice tracks.", AGAIN)
                found = SpeechFeatures(
                    archive["phones"],
                    archive["mel"],
                    archive["voice"],
                    encoder=str(archive["encoder"]),
                    rate_hz=float(archive["rate_hz"]),
                    joints=tuple(archive["joints"].tolist()) if "joints" in archive else (),
                    hidden=archive.get("hidden"),
                    model=str(archive["model"]) if "model" in archive else None,
                )
        except FileNotFoundError as error:
            raise UserError(f"{path} does not exist (a video without speech has none).", AGAIN) from error
        except ARCHIVE_ERRORS as error:
            raise UserError(f"{path} cannot be read ({str(error)[:200]}).", AGAIN) from error
        if not all(np.isfinite(track).all() for track in found.tracks.values()):
            raise UserError(f"{path} holds values that are not finite.", AGAIN)
        return found


def extends(encoder: str, other: str) -> bool:
    """Whether an encoder gives all that another gives: it is the same, or that one with hidden states added.

    Args:
        encoder: Name and hash; of one with hidden states ``DEFAULT+MODEL``.
        other: The other's.
    """
    return encoder == other or encoder.startswith(f"{other}+")


def smooth_20ms(track: Float[np.ndarray, "a c"]) -> Float[np.ndarray, "a c"]:
    """Average over 20 ms without shifting time: weights 1/4, 1/2, 1/4, edges repeated."""
    padded = np.concatenate([track[:1], track, track[-1:]])
    return (0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]).astype(track.dtype)


def sample_at(track: Float[np.ndarray, "a c"], index: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n c"]:
    """Linear interpolation of a track at fractional frame indices, edges repeated."""
    index = np.clip(index, 0, len(track) - 1)
    low = np.minimum(index.astype(np.int64), max(len(track) - 2, 0))
    high = np.minimum(low + 1, len(track) - 1)
    weight = (index - low)[:, None].astype(track.dtype)
    return track[low] * (1 - weight) + track[high] * weight
