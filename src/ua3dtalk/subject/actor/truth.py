"""What is known about a generated actor, and how it is kept."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path


@dataclass(frozen=True, kw_only=True)
class ActorTruth:
    """Ground truth of a generated actor. T frames, P phones, B expressions."""

    viewmats: Float[np.ndarray, "t 4 4"]
    """Head frame to camera, OpenCV axes."""
    K: Float[np.ndarray, "3 3"]
    """Intrinsics, pixels."""
    angles_rad: Float[np.ndarray, "t 3"]
    """Head: yaw (to the subject's left), pitch (down), roll."""
    torso: Float[np.ndarray, "t 4 4"]
    """Torso's rest position in the head frame to where it is in the head frame."""
    weights: Float[np.ndarray, "t b"]
    """Expression weights in the order of ``expressions``, 0..1."""
    expressions: tuple[str, ...]
    """Names of the columns of ``weights``."""
    gaze_rad: Float[np.ndarray, "t 2"]
    """Turn of the eyes to the subject's left and up, relative to the head."""
    tongue: Float[np.ndarray, " t"]
    """Lift of the tongue, 0..1."""
    landmarks: Float[np.ndarray, "t 468 3"]
    """The face's points, head frame, metres."""
    opening: Float[np.ndarray, " t"]
    """Gap between the inner lips over the distance of the outer eye corners."""
    eye_aspect: Float[np.ndarray, " t"]
    """Height over width of the eyes' opening, mean of both."""
    phone_symbols: tuple[str, ...]
    """ARPAbet or ``SIL`` of each phone."""
    phone_times_s: Float[np.ndarray, "p 2"]
    """Start and end of each phone, seconds."""
    frame_phones: tuple[str, ...]
    """Phone at each frame."""
    emotions: tuple[str, ...]
    """Emotion label at each frame."""
    intensity: Float[np.ndarray, " t"]
    """Intensity at each frame, 0..1."""
    words: tuple[str, ...]
    """What is said."""

    def projected(self) -> Float[np.ndarray, "t 468 2"]:
        """Landmarks in pixels."""
        camera = np.einsum("tij,tkj->tki", self.viewmats[:, :3, :3], self.landmarks) + self.viewmats[:, None, :3, 3]
        return camera[..., :2] / camera[..., 2:] * self.K[[0, 1], [0, 1]] + self.K[:2, 2]

    def save(self, path: Path) -> None:
        """Write as npz, without pickle."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        with atomic_path(path) as partial:
            np.savez_compressed(partial, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> ActorTruth:
        """Read what ``save`` wrote.

        Raises:
            UserError: the file is missing or not an actor's truth.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                values: dict[str, Any] = {field.name: data[field.name] for field in fields(cls)}
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path} is not the truth of an actor ({error}).", "Generate the actor again.") from error
        names = ("expressions", "phone_symbols", "frame_phones", "emotions", "words")
        values |= {name: tuple(values[name].tolist()) for name in names}
        return cls(**values)


def mouth_opening(landmarks: Float[np.ndarray, "t 468 3"]) -> Float[np.ndarray, " t"]:
    """Gap between the inner lips (points 13, 14) over the distance of the outer eye corners (33, 263)."""
    gap = np.linalg.norm(landmarks[:, 13] - landmarks[:, 14], axis=1)
    return gap / np.linalg.norm(landmarks[:, 33] - landmarks[:, 263], axis=1)


def eye_aspect(landmarks: Float[np.ndarray, "t 468 d"]) -> Float[np.ndarray, " t"]:
    """Height over width of the eyes' opening, mean of both eyes and of three chords."""
    ratios = []
    for outer, inner, chords in (
        (33, 133, ((160, 144), (159, 145), (158, 153))),
        (263, 362, ((387, 373), (386, 374), (385, 380))),
    ):
        width = np.linalg.norm(landmarks[:, outer] - landmarks[:, inner], axis=1)
        ratios += [np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=1) / width for a, b in chords]
    return np.mean(ratios, axis=0)


def frames_of_spans(starts: Float[np.ndarray, " p"], num_frames: int, fps: float) -> Int[np.ndarray, " t"]:
    """Which of consecutive stretches, given by their starts in seconds, each frame lies in."""
    times = np.arange(num_frames) / fps
    return np.clip(np.searchsorted(starts, times + 1e-9, side="right") - 1, 0, len(starts) - 1)
