"""Content prior ``f_exp``: phones to the lips of an average speaker, the lip expert that knows nobody (DESIGN §6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.context import apply_to_context, context_size, phone_rows
from ua3dtalk.priors.lip_targets import OPENING_COLUMN, WIDTH_COLUMN
from ua3dtalk.priors.phone_posteriors import silence_columns
from ua3dtalk.subject.speech_data import SpeechFeatures

KIND = "prior.content"
SHIPPED = Path(__file__).parent / "data" / "content.safetensors"
NUM_FEATURES = 64
FEATURE_SHIFTS_S = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
FEATURE_COLUMNS = (OPENING_COLUMN, WIDTH_COLUMN, 0, 1, 2, 3, 4, 5, 6)
"""Nine outputs at seven moments, and one for voice, make the 64 features."""


@dataclass(frozen=True, kw_only=True)
class ContentPrior:
    """Ridge weights from phones (and hidden states) to lips, with the scale of its features."""

    weights: Float32[np.ndarray, "c 14"]
    """From ``phone_context`` to 12 lip components, opening and width."""
    basis: Float32[np.ndarray, "12 80"]
    """Lip components: rows over x, y of the 40 lip points."""
    feature_mean: Float32[np.ndarray, " 64"]
    """Mean of the raw features over the training clips."""
    feature_scale: Float32[np.ndarray, " 64"]
    """Standard deviation of the raw features over the training clips, > 0."""
    encoder: str
    """Encoder that the weights were trained with."""
    facts: dict[str, Any]
    """What it was trained on, and figures; JSON values."""
    projection: Float32[np.ndarray, "h1 p"] | None = None
    """Of the encoder's hidden states, from ``fit_projection``; None for the default encoder."""

    def predict(self, speech: SpeechFeatures, times_s: np.ndarray) -> Float32[np.ndarray, "n 14"]:
        """Lip targets of an average speaker at the given times."""
        self._check(speech)
        return apply_to_context(speech, times_s, self.weights, self.projection)

    def by_phones(self) -> ContentPrior:
        """The same prior for phones alone: hidden states of its encoder, if it uses them, are taken at their mean."""
        if self.projection is None:
            return self
        return replace(self, weights=self.weights[phone_rows(self.projection)], projection=None)

    def features(
        self, speech: SpeechFeatures, voiced: Float32[np.ndarray, " t"], fps: float = 25.0
    ) -> Float32[np.ndarray, "t 64"]:
        """``f_exp``: normalised outputs around each of T = len(voiced) video frames."""
        return (self.raw_features(speech, voiced, fps) - self.feature_mean) / self.feature_scale

    def raw_features(
        self, speech: SpeechFeatures, voiced: Float32[np.ndarray, " t"], fps: float = 25.0
    ) -> Float32[np.ndarray, "t 64"]:
        """The features before normalisation."""
        if speech.joints:
            parts = speech.recordings(len(voiced), fps)
            return np.concatenate([self.raw_features(one, voiced[where], fps) for one, where in parts])
        times_s = np.arange(len(voiced)) / fps
        moments = [self.predict(speech, times_s + shift)[:, FEATURE_COLUMNS] for shift in FEATURE_SHIFTS_S]
        return np.concatenate([*moments, voiced[:, None]], axis=1).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        save_tensors(path, self.tensors(), kind=KIND, header={"encoder": self.encoder, "facts": self.facts})

    def tensors(self) -> dict[str, torch.Tensor]:
        """The arrays by name."""
        names = ("weights", "basis", "feature_mean", "feature_scale", "projection")
        found = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}

    @staticmethod
    def from_tensors(tensors: dict[str, torch.Tensor], encoder: str, facts: dict[str, Any]) -> ContentPrior:
        """The inverse of ``tensors``.

        Raises:
            UserError: weights of an older version, which heard the sound in another way.
        """
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        inputs = context_size(arrays.get("projection"))
        if len(arrays["weights"]) != inputs:
            raise UserError(
                f"The content prior has {len(arrays['weights'])} inputs, this version has {inputs}.",
                "Fit the priors again (`ua3dtalk prepare`), or train the content prior again.",
            )
        return ContentPrior(**arrays, encoder=encoder, facts=facts)

    @staticmethod
    def load(path: Path = SHIPPED) -> ContentPrior:
        """Read weights; by default those that come with the package.

        Raises:
            UserError: missing, damaged, altered, or of another kind.
        """
        tensors, header = load_tensors(path, kind=KIND)
        return ContentPrior.from_tensors(tensors, header["encoder"], header["facts"])

    def _check(self, speech: SpeechFeatures) -> None:
        if speech.encoder != self.encoder:
            raise UserError(
                f"The speech features come from {speech.encoder!r}, the content prior from {self.encoder!r}.",
                "Prepare the subject again, or train a content prior for this encoder.",
            )


def voice_activity(speech: SpeechFeatures, num_frames: int, fps: float = 25.0) -> Float32[np.ndarray, " t"]:
    """How much speech is heard around each video frame, 0..1: probability of no silence, smoothed over 60 ms."""
    if speech.joints:
        return np.concatenate(
            [voice_activity(one, len(where), fps) for one, where in speech.recordings(num_frames, fps)]
        )
    from_silence = 1 - speech.phones[:, list(silence_columns())].sum(axis=1)
    kernel = np.full(7, 1 / 7)
    smooth = np.convolve(np.pad(from_silence, 3, mode="edge"), kernel, "valid")
    index = np.clip(np.arange(num_frames) / fps * speech.rate_hz, 0, len(smooth) - 1)
    return np.clip(np.interp(index, np.arange(len(smooth)), smooth), 0, 1).astype(np.float32)
