"""Everything a training run works on: layers, data, poses and the source of randomness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.subject.split import Split
from ua3dtalk.subject.track_data import TrackData
from ua3dtalk.training.config import TrainConfig
from ua3dtalk.training.targets import TargetReader


@dataclass
class TrainingRun:
    """The mutable state of training, by name."""

    config: TrainConfig
    track: TrackData
    split: Split
    tracked: ConditionTrack
    """Conditions with the expression that the tracker saw."""
    predicted: ConditionTrack
    """Conditions with the expression predicted from speech, out of fold on training frames."""
    layers: dict[str, AvatarLayer]
    targets: TargetReader
    rasterizer: Rasterizer
    generator: torch.Generator
    """The only source of randomness, on the CPU."""
    device: torch.device

    @property
    def viewmats(self) -> Float[np.ndarray, "t 4 4"]:
        """World-to-camera of every frame, as refined so far."""
        return self.targets.viewmats

    @property
    def train_frames(self) -> np.ndarray:
        """Training frames whose face was really seen (not interpolated)."""
        frames = np.array(self.split.train)
        return frames[self.track.valid[frames]]
