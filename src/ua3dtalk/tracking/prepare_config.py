"""Settings of ``prepare``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.files import file_sha256
from ua3dtalk.tracking.bundle import BundleConfig
from ua3dtalk.tracking.parsing import ParsingConfig
from ua3dtalk.tracking.pose import PoseConfig

STAGE_VERSIONS = {
    "frames": 1,
    "landmarks": 2,
    "pose": 2,
    "parsing": 3,
    "expression": 2,
    "layers": 2,
    "audio": 1,
}
"""Raised when a stage's output changes for the same settings, so that old folders are made again."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Settings of ``prepare``."""

    size: int = 512
    """Largest side of the stored frames, pixels; smaller sources keep their size."""
    start_s: float = 0.0
    """Skip this much of each video, seconds."""
    max_seconds: float | None = None
    """Use at most this much of each, seconds; None uses all."""
    labels: Path | None = None
    """CSV file with the columns start_s,end_s,label,intensity."""
    video_labels: tuple[str, ...] = ()
    """Emotion that each video shows from end to end, in the order of the videos; empty where nothing is said."""
    face_model: Path | None = None
    """A MediaPipe face_landmarker.task to use instead of the built-in model."""
    require_audio: bool = False
    """Refuse videos without sound or with silence."""
    max_gap_s: float = 1.0
    """Longest stretch without a face that is bridged, seconds."""
    bundle: BundleConfig = field(default_factory=BundleConfig)
    """Shape and focal length."""
    pose: PoseConfig = field(default_factory=PoseConfig)
    """Head pose."""
    parsing: ParsingConfig = field(default_factory=ParsingConfig)
    """Masks."""

    def __post_init__(self) -> None:
        if self.size < 64 or self.size > 2048:
            raise ValueError(f"size must be 64..2048 pixels, got {self.size}.")
        if self.start_s < 0:
            raise ValueError(f"start_s must not be negative, got {self.start_s}.")
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise ValueError(f"max_seconds must be positive, got {self.max_seconds}.")

    def settings_of(self, stage: str) -> dict[str, Any]:
        """What the output of a stage depends on, besides the video and the stages before it."""
        own: dict[str, dict[str, Any]] = {
            "frames": {"size": self.size, "start_s": self.start_s, "max_seconds": self.max_seconds},
            "landmarks": {
                "face_model": file_sha256(self.face_model) if self.face_model else None,
                "max_gap_s": self.max_gap_s,
            },
            "pose": {"bundle": to_plain(self.bundle), "pose": to_plain(self.pose)},
            "parsing": to_plain(self.parsing),
        }
        return {"version": STAGE_VERSIONS[stage], **own.get(stage, {})}
