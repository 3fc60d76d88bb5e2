"""An avatar that draws what drives it: the smallest thing that synthesis can speak through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ua3dtalk.avatar.branch import Motion
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.forecast import FrameForecast
from ua3dtalk.priors.emotion_space import Askable
from ua3dtalk.priors.features import EmotionMix, PriorFeatures
from ua3dtalk.subject.speech_data import SpeechFeatures

LABELS = ("neutral", "happy", "sad")
LOOP = 60


@dataclass(frozen=True, eq=False)
class FakeFrame:
    image: np.ndarray
    forecast: FrameForecast | None


class FakePriors:
    """Opens the mouth with the mel energy; the emotion is the intensity, put into every dimension."""

    askable = Askable(shown=LABELS[1:], lent=("fearful", "happy"))

    def __init__(self) -> None:
        self.requests: list[EmotionMix | None] = []
        self.poses: list[np.ndarray] = []

    def features(
        self, speech: SpeechFeatures, num_frames: int, emotion: EmotionMix | None, viewmats: np.ndarray
    ) -> PriorFeatures:
        self.requests.append(emotion)
        self.poses.append(viewmats)
        level = speech.mel.mean(1)
        loud = np.interp(np.arange(num_frames) * 4, np.arange(len(level)), level).astype(np.float32)
        strength = np.zeros(num_frames, np.float32) if emotion is None else emotion.mix(num_frames).leading()[1]

        def wide(width: int, values: np.ndarray) -> np.ndarray:
            return np.repeat(values.astype(np.float32)[:, None], width, 1)

        return PriorFeatures(
            content=wide(64, loud),
            style=wide(64, loud),
            emotion=wide(128, strength),
            lower=wide(13, loud),
            upper_offset=wide(6, strength),
            emotion_probs=wide(len(LABELS), strength),
            confidence=np.full(num_frames, 0.5, np.float32),
            voiced=(loud > loud.mean()).astype(np.float32),
        )


class FakeLoop:
    def __init__(self) -> None:
        t = np.arange(LOOP)
        self.viewmats = np.tile(np.eye(4), (LOOP, 1, 1))
        self.viewmats[:, :3, :3] = Rotation.from_euler("y", 0.2 * np.sin(t / 10)[:, None]).as_matrix()
        self.viewmats[:, 2, 3] = 1.0
        self.upper = np.zeros((LOOP, 6), np.float32)
        self.upper[28:32, 0] = 5.0


class FakeAvatar:
    """Left half: mouth opening as brightness; right half: torso index. Wrong where it is bright."""

    width, height = 63, 48

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.priors = FakePriors()
        self.rendered = 0
        self.wanted_maps: list[bool] = []

    def move(self, conditions: Conditions, want_maps: bool = False) -> dict[str, Motion | None]:
        return {"face": None}

    def render(
        self,
        conditions: Conditions,
        viewmat: np.ndarray,
        torso_index: int,
        want_maps: bool = False,
        motions: dict[str, Motion | None] | None = None,
    ) -> FakeFrame:
        assert viewmat.shape == (4, 4) and 0 <= torso_index < LOOP
        self.rendered += 1
        self.wanted_maps.append(want_maps)
        image = np.zeros((self.height, self.width, 3), np.uint8)
        opening = float(conditions.lower[12])
        image[:, :32] = int(np.clip(128 + 10 * opening, 0, 255))
        image[:, 32:] = 4 * torso_index
        if not want_maps:
            return FakeFrame(image, None)
        error = np.zeros((self.height, self.width), np.float32)
        error[8:40, :32] = 0.001 * (20 + opening) * np.linspace(0.5, 1.5, 32, dtype=np.float32)
        mean = float(error[error > 0].mean())
        strange = {"pose": 1.0 if torso_index > LOOP // 2 else 0.2}
        forecast = FrameForecast(error, mean, 2 * mean, 1 - min(20 * mean, 1.0), strange, (mean / 2, 2 * mean))
        return FakeFrame(image, forecast)


def fake_speech(samples: np.ndarray) -> SpeechFeatures:
    """Energy per 10 ms in every mel band: enough to drive the fake priors."""
    count = max(1, len(samples) // 160)
    padded = np.pad(samples, (0, max(0, 160 * count - len(samples))))[: 160 * count]
    energy = np.log(np.square(padded.reshape(count, 160)).mean(1) + 1e-6).astype(np.float32)
    phones = np.full((count, 42), 1 / 42, np.float32)
    return SpeechFeatures(phones, np.repeat(energy[:, None], 80, 1), np.zeros((count, 9), np.float32), encoder="fake")


def voice(duration_s: float, seed: int = 0) -> np.ndarray:
    """Noise in syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * 16000)) / 16000
    return (0.2 * rng.normal(size=len(t)) * (np.sin(2 * np.pi * 2.5 * t) > 0)).clip(-1, 1).astype(np.float32)


class Fakes:
    """What tests build from."""

    Avatar = FakeAvatar
    speech = staticmethod(fake_speech)
    voice = staticmethod(voice)


@pytest.fixture(scope="session")
def fakes() -> type[Fakes]:
    """The fake avatar, its speech features and a voice."""
    return Fakes


@pytest.fixture(scope="session")
def english(shared: Path) -> Path:
    """A real recording."""
    return shared / "data" / "speech" / "english_radio.flac"
