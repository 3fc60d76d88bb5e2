"""Strength of labelled emotions, seen in the face; a neutral face that was never shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ua3dtalk.priors.emotion_strength import ShownEmotion, likely_neutral, look_at_labels
from ua3dtalk.priors.expression_shift import calm_face, fit_shift
from ua3dtalk.priors.visual_emotion import FaceEmotions
from ua3dtalk.subject.face_signals import FACE_SIGNALS, NUM_FACE_SIGNALS, face_signals
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.tracking.topology import mean_face

NUM = NUM_FACE_SIGNALS
SMILE, FROWN, OPEN = (FACE_SIGNALS.index(name) for name in ("corners_up", "AU04", "opening"))
SPANS = (
    EmotionSpan(start_s=0.0, end_s=8.0, label="happy", varies=True),
    EmotionSpan(start_s=8.0, end_s=16.0, label="angry", varies=True),
    EmotionSpan(start_s=16.0, end_s=20.0, label="neutral", varies=True),
)
TRUE = np.concatenate([np.linspace(0.2, 1, 200), np.linspace(1, 0, 200), np.zeros(100)])


@pytest.fixture
def emotions() -> FaceEmotions:
    """People who differ by 0.02 in every signal, whose emotions move smile and frown by 0.1; speech opens the mouth."""
    shifts = np.zeros((2, NUM))
    shifts[0, SMILE] = shifts[1, FROWN] = 0.1
    speech = np.full(NUM, 0.01)
    speech[OPEN] = 0.1
    return FaceEmotions(
        labels=("happy", "angry"),
        people=("a", "b"),
        shifts=shifts,
        neutral=np.full(NUM, 0.3),
        anatomy=0.02**2 * np.eye(NUM),
        speech=np.diag(speech**2),
        facts={},
    )


def made_signals(own: float = 0.0) -> np.ndarray:
    """Smile and frown by ``TRUE``; the mouth speaks all the time, and wider when happy."""
    rng = np.random.default_rng(0)
    signals = 0.3 + own + rng.normal(0, 0.01, (500, NUM))
    signals[:200, SMILE] += 0.15 * TRUE[:200]
    signals[200:400, FROWN] += 0.15 * TRUE[200:400]
    signals[:, OPEN] += 0.1 * np.sin(np.arange(500) * 1.3) + 0.05 * (np.arange(500) < 200)
    return signals


def strengths(shown: ShownEmotion) -> np.ndarray:
    return np.asarray(shown.request.intensity)


@pytest.mark.parametrize("frames", [range(500), range(400)], ids=["neutral shown", "neutral never shown"])
def test_strengths_are_found_again(emotions: FaceEmotions, frames: range) -> None:
    shown = look_at_labels(SPANS, made_signals(), frames, emotions)
    found = strengths(shown)
    assert (shown.neutral is None) == (len(frames) == 500)
    for span in (slice(0, 200), slice(200, 400)):
        assert np.corrcoef(found[span], TRUE[span])[0, 1] > 0.95
        assert np.abs(found[span] - TRUE[span]).mean() < 0.15  # measured .07 and .12: full strength is the upper decile
    assert found.min() >= 0 and found.max() <= 1


def test_strengths_that_were_given_stay(emotions: FaceEmotions) -> None:
    spans = (replace(SPANS[0], varies=False, intensity=0.7), replace(SPANS[1], intensity=0.5), SPANS[2])
    found = strengths(look_at_labels(spans, made_signals(), range(500), emotions))
    assert (found[:200] == np.float32(0.7)).all()
    assert 0.4 < found[200:400].max() <= 0.5 and found[380:400].max() < 0.2


def test_held_out_frames_are_not_looked_at(emotions: FaceEmotions) -> None:
    signals, used = made_signals(), [*range(150), *range(200, 500)]
    before = strengths(look_at_labels(SPANS, signals, used, emotions))
    assert np.unique(before[150:200]).size == 1 and before[150] == pytest.approx(np.median(before[:150]))
    signals[158:192] += 1.0  # farther away than a window
    np.testing.assert_array_equal(strengths(look_at_labels(SPANS, signals, used, emotions)), before)


def test_a_label_that_the_face_does_not_show_stays_full(emotions: FaceEmotions) -> None:
    signals = made_signals()
    signals[:200, SMILE] = signals[200:400, SMILE]
    signals[:200, OPEN] -= 0.05
    assert (strengths(look_at_labels(SPANS, signals, range(500), emotions))[:200] == 1).all()


def test_nothing_is_averaged_across_a_joint(emotions: FaceEmotions) -> None:
    signals = made_signals()
    joined = strengths(look_at_labels(SPANS, signals, range(500), emotions, joints=(200,)))
    signals[200:400] += 0.5
    moved = strengths(look_at_labels(SPANS, signals, range(500), emotions, joints=(200,)))
    np.testing.assert_allclose(moved[:200], joined[:200], atol=1e-6)


def test_a_neutral_face_is_not_the_mean_of_emotions(emotions: FaceEmotions) -> None:
    """A person who differs by 0.03: anatomy is kept where emotions do not reach, the emotion is taken out elsewhere."""
    means = np.full((2, NUM), 0.33)
    means[0, SMILE] += 0.15
    means[1, FROWN] += 0.15
    found = likely_neutral(means, emotions)
    off = np.abs(found - 0.33)
    assert off[[SMILE, FROWN]].max() < 0.02 < np.abs(means.mean(0) - 0.33)[SMILE]
    assert np.delete(off, [SMILE, FROWN]).max() < 1e-6


def test_the_face_at_neutral_can_be_given() -> None:
    """All frames are happy, at .9 to 1: without the neutral face its share would be lost in the constant."""
    rng = np.random.default_rng(0)
    strength = rng.uniform(0.9, 1, 300).astype(np.float32)
    towards, calm = rng.normal(size=128).astype(np.float32), rng.normal(size=19)
    smile = np.zeros(19)
    smile[3] = 2.0
    face = (calm + strength[:, None] * smile + rng.normal(0, 0.3, (300, 19))).astype(np.float32)
    points, neutral = strength[:, None] * towards, np.zeros(128, np.float32)
    known, free = (fit_shift(points, face, neutral, range(300), [], True, given)[0] for given in (calm, None))
    at_full = [shift.shift(towards[None])[0, 3] for shift in (known, free)]
    assert at_full[0] == pytest.approx(2.0, abs=0.1)  # measured 1.96
    assert at_full[1] < 1.5  # measured 1.05


def test_the_calm_face_has_the_signals_that_were_asked_for(emotions: FaceEmotions) -> None:
    mesh = mean_face().vertices
    basis = np.zeros((19, *mesh.shape))
    basis[0, [61, 291], 1] = 0.002  # corners up by 2 mm
    goal = face_signals((mesh + 0.8 * basis[0])[None])[0]
    found = calm_face(goal, emotions, mesh, basis)
    assert found[0] == pytest.approx(0.8, abs=0.15) and np.abs(found[1:]).max() < 1e-6
