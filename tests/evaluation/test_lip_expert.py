"""The lip expert: planted delays on a made speaker and on a real clip, and what must make it doubt."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.evaluation.expression_features import lip_vector
from ua3dtalk.evaluation.lip_expert import COLUMN_WEIGHTS, WINDOW_FRAMES, lag_scores, lags, lip_sync
from ua3dtalk.evaluation.lip_expert_meter import LipExpertMeter, make_lip_expert_meter
from ua3dtalk.evaluation.measure import Missing, Moment
from ua3dtalk.evaluation.regions import FrameRegions
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.video import VideoReader
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.lip_targets import LIP_POINTS
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.normalised import normalised_points
from ua3dtalk.tracking.topology import mean_face

sys.path.append(str(Path(__file__).parents[1] / "priors"))  # made_speaker
from made_speaker import made_speech

SECONDS = 8
FRAMES = 25 * SECONDS
MARGIN = 8
"""Largest planted delay, frames."""
CLIP = Path(__file__).parents[3] / "shared" / "data" / "clips" / "aoc2_5s_590.mp4"
"""Real lips; the content prior knows the speaker, so that its figures say nothing about quality."""
DELAYS = [-8, -3, -1, 0, 1, 5, 8]


class MadeEncoder:
    """Hears a made speaker in any sound."""

    def __init__(self) -> None:
        self.name = PhoneEncoder().name

    def encode(self, audio: np.ndarray, progress: object = None) -> SpeechFeatures:
        return made_speech(len(audio) / 16000)


@cache
def prior() -> ContentPrior:
    return ContentPrior.load()


def landmarks(components: np.ndarray) -> np.ndarray:
    """The mean face with lips moved by the 12 components (eye distances), as the detector would see it."""
    vertices = mean_face().vertices.copy()
    eyes = float(np.linalg.norm(vertices[33] - vertices[263]))
    vertices[list(LIP_POINTS), :2] += eyes * (components @ prior().basis).reshape(-1, 2)
    vertices = np.concatenate([vertices, np.repeat(vertices[:1], 10, axis=0)])
    return (vertices * [2000, -2000, -2000] + 300).astype(np.float32)


@cache
def faces(delay: float, seed: int = 0) -> tuple[np.ndarray | None, ...]:
    """A speaker who moves as the average one and as much again in his own way; all of it so many frames late."""
    times = np.arange(FRAMES) - delay
    spoken = prior().predict(made_speech(SECONDS, seed), times / 25)[:, :12]
    own = np.random.default_rng(1).normal(size=(FRAMES + 2 * MARGIN + 4, 12))
    own = np.stack([np.convolve(column, np.ones(5) / 5, "valid") for column in own.T], axis=1)
    # His own way is delayed too: if it stayed, its chance agreement with speech would change with the delay.
    own = np.stack([np.interp(times, np.arange(len(own)) - MARGIN, column) for column in own.T], axis=1)
    own *= spoken.std(0) / own.std(0)
    return tuple(landmarks(frame) for frame in spoken + own)


def measured(shown: Sequence[np.ndarray | None]) -> dict:
    meter = make_lip_expert_meter(np.zeros(16000 * SECONDS, np.float32), encoder=MadeEncoder())()
    assert isinstance(meter, LipExpertMeter)
    return watched(meter, shown)


def watched(meter: LipExpertMeter, shown: Sequence[np.ndarray | None]) -> dict:
    picture, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool)
    regions = FrameRegions(full=mask, head=mask, head_eroded=mask, mouth=None)
    for i, face in enumerate(shown):
        meter.see(
            Moment(position=i, picture=picture, real=picture, landmarks=face, real_landmarks=None, regions=regions)
        )
    return meter.results()


# --- a made speaker --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [-8.0, -1.0, 0.5, 3.0, 8.0])
def test_planted_delay_is_found_and_positive_means_late_lips(delay: float) -> None:
    assert measured(faces(delay))["lip_expert_offset"].value == pytest.approx(delay, abs=0.5)


@pytest.mark.parametrize("delay", [4, 8])
def test_a_constant_delay_shows_in_the_offset_only(delay: int) -> None:
    """The same movement, later: nothing else is seen, so that the score at the best lag is the same number."""
    moving = faces(0)[: FRAMES - delay]
    right, late = measured(moving), measured([None] * delay + list(moving))
    assert late["lip_expert_offset"].value == right["lip_expert_offset"].value + delay
    assert late["lip_expert_distance"].value == pytest.approx(right["lip_expert_distance"].value, abs=1e-6)
    # The median over all lags is over others: -15 to 15 frames, whatever the delay. Of five made speakers up to .041.
    assert late["lip_expert_confidence"].value == pytest.approx(right["lip_expert_confidence"].value, abs=0.05)


def test_wrong_lips_are_farther_and_less_sure() -> None:
    right = measured(faces(0))
    order = np.random.default_rng(0).permutation(FRAMES)
    shuffled = measured([faces(0)[i] for i in order])
    other = measured(faces(0, seed=5))
    for wrong in (shuffled, other):
        assert wrong["lip_expert_distance"].value > right["lip_expert_distance"].value + 0.2
        assert wrong["lip_expert_confidence"].value < right["lip_expert_confidence"].value - 0.2


def test_frames_without_a_face_are_left_out_and_counted() -> None:
    holes = list(faces(2))
    for i in (*range(20, 40), 77):
        holes[i] = None
    found = measured(holes)
    assert found["lip_expert_offset"].details["frames_without_face"] == 21
    assert found["lip_expert_offset"].value == pytest.approx(2, abs=0.5)
    nothing = measured([None] * FRAMES)
    assert all(m.value is None and m.unavailable for m in nothing.values())
    still = measured([landmarks(np.zeros(12))] * FRAMES)
    assert all(m.value is None and m.unavailable for m in still.values())


def test_without_speech_it_says_so() -> None:
    silence = np.zeros(32000, np.float32)
    for audio, why in ((None, "no sound"), (np.zeros(0, np.float32), "no sound"), (silence, "0.0 s of speech")):
        meter = make_lip_expert_meter(audio)()
        assert isinstance(meter, Missing)
        assert all(m.value is None and why in m.unavailable for m in meter.results().values())


# --- the scores ------------------------------------------------------------------------------------------------------


@cache
def prediction() -> np.ndarray:
    return prior().predict(made_speech(SECONDS), np.arange(2 * FRAMES) / 50)


def test_lips_as_predicted_are_at_distance_zero() -> None:
    found = lip_sync(prediction(), prediction()[::2].astype(np.float64))
    assert found is not None and found.offset_frames == 0
    # Not quite 0: predictions and lips are smoothed at their own rates. Measured .003.
    assert found.score == pytest.approx(1, abs=0.01) and found.distance < 0.15
    assert found.confidence == pytest.approx(found.score - np.nanmedian(found.scores))
    assert found.distance == pytest.approx(np.sqrt(2 - 2 * found.score))


def test_scale_of_each_column_and_its_mean_do_not_matter() -> None:
    lips = prediction()[::2].astype(np.float64)
    scaled = lips * np.linspace(0.2, 3, 14) + np.arange(14)
    np.testing.assert_allclose(lag_scores(prediction(), scaled), lag_scores(prediction(), lips), atol=1e-6)


def test_frames_without_a_face_are_never_compared() -> None:
    lips = prediction()[::2].astype(np.float64)
    lips[50:130] = np.nan
    at_zero = lag_scores(prediction(), lips)[lags() == 0]
    assert at_zero == pytest.approx(0.99, abs=0.01)  # .68 where what is filled in between is compared too


def test_a_window_is_found_where_it_starts() -> None:
    lips = prediction()[::2].astype(np.float64)[90 : 90 + WINDOW_FRAMES]
    for planted in DELAYS:
        found = lip_sync(prediction(), lips, start=90 + planted)
        assert found is not None and found.offset_frames == planted


def test_too_little_overlap_is_not_scored() -> None:
    lips = prediction()[::2].astype(np.float64)
    scores = lag_scores(prediction()[: 2 * 45], lips[:45])  # 45 frames of 45: lags from −7.5 to 7 leave 38
    np.testing.assert_array_equal(lags()[np.isfinite(scores)], np.arange(-7.5, 7.5, 0.5))
    assert lip_sync(prediction(), lips[:37]) is None
    assert lip_sync(np.zeros((0, 14), np.float32), lips) is None


def test_weights_are_checked() -> None:
    assert set(COLUMN_WEIGHTS) <= set(range(14))
    for weights in ({}, {14: 1.0}, {0: 0.0}):
        with pytest.raises(ValueError, match="`weights` must give columns 0 to 13"):
            lag_scores(prediction(), prediction()[::2].astype(np.float64), weights=weights)


# --- a real clip -----------------------------------------------------------------------------------------------------


@cache
def real_clip() -> tuple[np.ndarray, list[np.ndarray | None]]:
    if not CLIP.exists():
        pytest.skip("../shared is absent")
    reader = VideoReader(CLIP)
    with FaceMeshLandmarks() as detector:
        found = [detector.detect(frame) for frame in reader]
    audio, _ = read_audio(CLIP, start_s=reader.start_s, duration_s=len(found) / 25)
    return audio, found


def test_planted_delays_on_a_real_clip() -> None:
    """Every 3 s window, relative to the clip's own constant offset, within one frame."""
    audio, found = real_clip()
    speech = PhoneEncoder().encode(audio)
    predicted = prior().predict(speech, np.arange(2 * len(found)) / 50)
    lips = np.stack([lip_vector(normalised_points(f)) for f in found if f is not None])
    assert len(lips) == len(found)
    whole = lip_sync(predicted, lips)
    assert whole is not None
    for start in (0, 25, 50):
        for delay in DELAYS:
            window = lip_sync(predicted, lips[start : start + WINDOW_FRAMES], start + delay)
            assert window is not None
            assert abs(window.offset_frames - whole.offset_frames - delay) <= 1, (start, delay)


def test_meter_on_a_real_clip() -> None:
    audio, found = real_clip()
    make = make_lip_expert_meter(audio)
    own = watched(make(), found)
    assert abs(own["lip_expert_offset"].value) <= 5
    late = watched(make(), [found[0], *found[:-1]])
    assert late["lip_expert_offset"].value == own["lip_expert_offset"].value + 1
    mixed = watched(make(), found[60:] + found[:60])
    assert mixed["lip_expert_confidence"].value < own["lip_expert_confidence"].value - 0.2
    assert mixed["lip_expert_distance"].value > own["lip_expert_distance"].value + 0.1
