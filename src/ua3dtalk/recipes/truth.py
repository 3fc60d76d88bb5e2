"""A subject's frames, as an avatar's error forecast is fitted on them."""

from __future__ import annotations

import numpy as np

from ua3dtalk.avatar.pose_loop import torso_over
from ua3dtalk.evaluation.regions import mouth_mask
from ua3dtalk.subject.store import Subject


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
        return mouth_mask(self._landmarks[i], (self._subject.width, self._subject.height))
