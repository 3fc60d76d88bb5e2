"""What drives the avatar in one frame, and the same for a whole track of frames."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

STREAMS = ("audio", "content", "style", "emotion")
"""The streams in the order of every presence mask and of every per-stream map."""

CONTEXT_BEFORE, CONTEXT_AFTER = 4, 3
"""An audio stream sees frames t-4 … t+3 (paper: attention over eight frames)."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What drives one frame. All tensors share a device."""

    audio: Float[Tensor, "context 42 16"]
    """Speech windows of the eight frames t-4 … t+3: square roots of phone posteriors, 16 steps at 50 Hz."""
    upper: Float[Tensor, " 6"]
    """Upper-face signals (blink, brows, lids), z-scored with training statistics."""
    lower: Float[Tensor, " 13"]
    """Lower-face coefficients and mouth opening, z-scored with training statistics; they drive the mesh motion."""
    content: Float[Tensor, " 64"]
    """Content prior (what the lips of an average speaker do)."""
    style: Float[Tensor, " 64"]
    """Style prior (what this person does differently)."""
    emotion: Float[Tensor, " 128"]
    """Emotion embedding."""
    present: Float[Tensor, " 4"]
    """1 where a stream of STREAMS is there, 0 where it is missing; fusion gives a missing stream no precision."""

    def to(self, device: torch.device | str) -> Conditions:
        """The same frame on another device."""
        return Conditions(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def without(self, *streams: str) -> Conditions:
        """The same frame with the named streams marked as missing.

        Raises:
            ValueError: for a name that is not in STREAMS.
        """
        present = self.present.clone()
        for name in streams:
            if name not in STREAMS:
                raise ValueError(f"`streams` must be among {STREAMS}, got {name!r}.")
            present[STREAMS.index(name)] = 0.0
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Conditions(**(values | {"present": present}))


@dataclass(frozen=True, kw_only=True)
class ConditionTrack:
    """What drives T frames. A slice knows only its own frames: the audio context repeats the slice's ends."""

    audio: Float[Tensor, "t 42 16"]
    """One speech window per frame."""
    upper: Float[Tensor, "t 6"]
    """Upper-face signals, z-scored."""
    lower: Float[Tensor, "t 13"]
    """Lower-face coefficients and mouth opening, z-scored."""
    content: Float[Tensor, "t 64"]
    """Content prior."""
    style: Float[Tensor, "t 64"]
    """Style prior."""
    emotion: Float[Tensor, "t 128"]
    """Emotion embedding."""
    present: Float[Tensor, "t 4"]
    """Presence of each stream of STREAMS, 0 or 1."""

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"All condition arrays must have the same number of frames, got {lengths}.")

    @classmethod
    def from_arrays(
        cls,
        *,
        audio: Float[np.ndarray, "t 42 16"],
        upper: Float[np.ndarray, "t 6"],
        lower: Float[np.ndarray, "t 13"],
        content: Float[np.ndarray, "t 64"],
        style: Float[np.ndarray, "t 64"],
        emotion: Float[np.ndarray, "t 128"],
        present: Float[np.ndarray, "t 4"] | None = None,
    ) -> ConditionTrack:
        """Build a track from the arrays of SpeechFeatures.windows, TrackData and PriorFeatures.

        Args:
            present: presence of each stream of STREAMS; None means that all are there.

        Returns:
            float32 tensors on the CPU (copies).

        Raises:
            ValueError: where the numbers of frames differ.
        """
        if present is None:
            present = np.ones((len(audio), len(STREAMS)), np.float32)
        arrays = dict(
            audio=audio, upper=upper, lower=lower, content=content, style=style, emotion=emotion, present=present
        )
        return cls(**{name: torch.from_numpy(np.array(value, np.float32)) for name, value in arrays.items()})

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, frames: slice) -> ConditionTrack:
        """A sub-track; use `frame(i)` for one frame."""
        return ConditionTrack(**{field.name: getattr(self, field.name)[frames] for field in fields(self)})

    def to(self, device: torch.device | str) -> ConditionTrack:
        """The same track on another device."""
        return ConditionTrack(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def frame(self, index: int) -> Conditions:
        """The conditions of one frame, with the audio context repeated at the ends of the track.

        Raises:
            IndexError: outside 0 … T-1.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be in 0 … {len(self) - 1}, got {index}.")
        context = torch.arange(index - CONTEXT_BEFORE, index + CONTEXT_AFTER + 1).clamp(0, len(self) - 1)
        values = {field.name: getattr(self, field.name)[index] for field in fields(self) if field.name != "audio"}
        return Conditions(audio=self.audio[context], **values)
