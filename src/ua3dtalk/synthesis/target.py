"""What synthesis needs of an avatar. ``ua3dtalk.avatar.avatar.Avatar`` fits; so does any test double."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from ua3dtalk.avatar.avatar import Motions
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.forecast import FrameForecast
from ua3dtalk.priors.emotion_space import Askable
from ua3dtalk.priors.features import EmotionMix, PriorFeatures
from ua3dtalk.subject.speech_data import SpeechFeatures


@runtime_checkable
class TargetLoop(Protocol):
    """A stretch of the subject's own video: L poses with the upper-face signals and torsos that belong to them."""

    @property
    def viewmats(self) -> np.ndarray:
        """World to camera, ``[L, 4, 4]``."""
        ...

    @property
    def upper(self) -> np.ndarray:
        """Upper-face signals, z-scored, ``[L, 6]``."""
        ...


@runtime_checkable
class TargetPriors(Protocol):
    """Speech to features."""

    @property
    def askable(self) -> Askable:
        """Emotions that can be asked for."""
        ...

    def features(
        self,
        speech: SpeechFeatures,
        num_frames: int,
        emotion: EmotionMix | None,
        viewmats: np.ndarray,
    ) -> PriorFeatures:
        """Features per video frame at its pose, ``[T, 4, 4]``; ``emotion`` None takes it from the voice."""
        ...


@runtime_checkable
class TargetFrame(Protocol):
    """One rendered frame."""

    @property
    def image(self) -> np.ndarray:
        """RGB, uint8 ``[H, W, 3]``."""
        ...

    @property
    def forecast(self) -> FrameForecast | None:
        """What error to expect; None unless maps were asked for and the avatar has a forecast."""
        ...


@runtime_checkable
class Target(Protocol):
    """An avatar."""

    width: int
    height: int

    @property
    def loop(self) -> TargetLoop:
        """Poses to speak with."""
        ...

    @property
    def priors(self) -> TargetPriors:
        """Speech to features."""
        ...

    def move(self, conditions: Conditions, want_maps: bool = False) -> Motions:
        """What the networks say of one frame."""
        ...

    def render(
        self,
        conditions: Conditions,
        viewmat: np.ndarray,
        torso_index: int,
        want_maps: bool = False,
        motions: Motions | None = None,
    ) -> TargetFrame:
        """Render one frame in front of torso ``torso_index`` of the loop; ``motions`` is what ``move`` said."""
        ...
