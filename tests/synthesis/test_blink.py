"""Blinks: kept, taken out, put in."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.synthesis.blink import BLINK, lid_profile, take_apart, upper_track

FPS = 25.0


def subject(length: int = 250) -> np.ndarray:
    """Slow brows, and two blinks that also pull on the upper lid (column 4)."""
    t = np.arange(length)
    upper = np.zeros((length, 6), np.float32)
    upper[:, 1] = 0.5 * np.sin(t / 30)
    blink = 5 * np.exp(-(((t[:, None] - [60, 170]) / 1.5) ** 2)).sum(1)
    upper[:, BLINK] += blink
    upper[:, 4] -= 0.4 * blink
    return upper


def test_source_plays_the_subjects_own_signals() -> None:
    upper = subject()
    assert np.allclose(upper_track(upper, np.arange(250.0), "source", np.random.default_rng(0)), upper)


def test_none_leaves_no_blink_and_keeps_the_brows() -> None:
    upper = subject()
    calm = upper_track(upper, np.arange(250.0), "none", np.random.default_rng(0))
    assert calm[:, BLINK].max() < 0.2 and np.abs(calm[:, 4]).max() < 0.2
    assert np.abs(calm[:, 1] - upper[:, 1]).max() < 0.05


def test_a_blink_carries_its_companions() -> None:
    parts = take_apart(subject())
    assert parts.blink[BLINK] == pytest.approx(5, rel=0.15)  # 4.56: the 99.5th percentile is safe against outliers
    assert parts.blink[4] == pytest.approx(-0.4 * parts.blink[BLINK], rel=0.15)
    assert abs(parts.blink[1]) < 0.1


def test_generated_blinks_have_human_times() -> None:
    closed = lid_profile(25 * 120, FPS, np.random.default_rng(3))
    starts = np.flatnonzero((closed[1:] > 0.3) & (closed[:-1] <= 0.3))
    gaps_s = np.diff(starts) / FPS
    assert 24 <= len(starts) <= 60
    assert gaps_s.min() >= 2 - 0.08 and gaps_s.max() <= 5 + 0.08
    assert np.ptp(gaps_s) > 1  # not a metronome
    assert closed.max() > 0.95 and closed.min() == 0
    lengths_s = [(closed[a : a + 20] > 0.1).sum() / FPS for a in starts[:-1]]
    assert 0.15 < np.mean(lengths_s) < 0.4


def test_generated_depends_on_the_generator_alone() -> None:
    upper, phase = subject(), np.arange(200.0)
    make = lambda seed: upper_track(upper, phase, "generated", np.random.default_rng(seed))  # noqa: E731
    assert np.array_equal(make(1), make(1)) and not np.array_equal(make(1), make(2))
    assert make(1)[:, BLINK].max() > 4


def test_a_subject_that_never_blinks_gets_visible_blinks() -> None:
    track = upper_track(np.zeros((50, 6), np.float32), np.zeros(500), "generated", np.random.default_rng(0))
    assert track[:, BLINK].max() > 2.5


def test_a_subject_with_closed_eyes_all_along_does_not_break() -> None:
    upper = np.full((1, 6), 4.0, np.float32)
    for kind in ("source", "none", "generated"):
        assert np.isfinite(upper_track(upper, np.zeros(100), kind, np.random.default_rng(0))).all()
