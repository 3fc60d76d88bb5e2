"""An avatar's error forecast, fitted on the frames of its subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.familiarity import FEWEST, Familiarity
from ua3dtalk.avatar.pose_loop import torso_over
from ua3dtalk.avatar.storage import load_avatar, load_poses, save_forecast
from ua3dtalk.core.progress import Progress
from ua3dtalk.evaluation.regions import mouth_box
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.subject.store import Subject
from ua3dtalk.training.forecasting import fit_forecast


class SubjectTruth:
    """What a subject's frames look like.

    Args:
        subject: Whose.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._background = subject.background()
        self._landmarks = subject.track().landmarks

    def real(self, i: int) -> np.ndarray:
        """Frame ``i``, 0..1."""
        return self._subject.frame(i).astype(np.float32) / 255

    def behind(self, i: int) -> np.ndarray:
        """Torso over background of frame ``i``, 0..1."""
        return torso_over(self._subject.torso(i), self._background)

    def mouth(self, i: int) -> np.ndarray:
        """Box around the lips of frame ``i``."""
        mask = np.zeros((self._subject.height, self._subject.width), bool)
        left, top, right, bottom = mouth_box(self._landmarks[i], (self._subject.width, self._subject.height))
        mask[top:bottom, left:right] = True
        return mask


def add_forecast(
    folder: Path,
    subject: Subject,
    conditions: ConditionTrack,
    frames: np.ndarray,
    rasterizer: Rasterizer,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> None:
    """Fit the forecast of a written avatar, and what streams are usual to it, and store both there.

    Args:
        folder: Avatar folder.
        subject: Whom it was trained on.
        conditions: Of all frames, the mouth from speech that the priors did not learn from.
        frames: Those to fit on.
        rasterizer: Back-end.
        device: Where to compute.
        seed: Chooses pixels.
        progress: Where to report.
    """
    avatar = load_avatar(folder, rasterizer, device)
    generator, truth = np.random.default_rng(seed), SubjectTruth(subject)
    forecast = fit_forecast(avatar, conditions, load_poses(folder), frames.tolist(), truth, generator, progress)
    save_forecast(folder, forecast)
    if len(frames) >= FEWEST:
        Familiarity.fit(conditions, frames).save(folder)
