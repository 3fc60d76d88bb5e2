"""Light and sound: planted changes come out with their size."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.recipes.data_report.light_and_sound import drift, flicker, sound_levels_db, speech_facts


def test_flicker_is_quick_and_drift_is_slow() -> None:
    time_s = np.arange(250) / 25
    steady = np.full(250, 120.0)
    assert flicker(steady) < 1e-9 and drift(steady) < 1e-9
    beating = steady * (1 + 0.04 * np.sin(2 * np.pi * 5 * time_s))
    assert flicker(beating) > 0.02 and drift(beating) < 0.01
    slow = steady * (1 + 0.04 * time_s)
    assert drift(slow) == pytest.approx(0.3, abs=0.03) and flicker(slow) < 0.001
    flash = steady.copy()
    flash[100] = 255
    assert flicker(flash) < 1e-9


def test_levels_of_frames() -> None:
    samples = np.concatenate([np.zeros(640), np.full(640, 0.1)]).astype(np.float32)
    assert sound_levels_db(samples, 2) == pytest.approx([-120.0, -20.0], abs=1e-3)


def test_speech(rng: np.random.Generator) -> None:
    loud = rng.normal(0, 0.1, 16000 * 8)
    quiet = rng.normal(0, 0.001, 16000 * 2)
    samples = np.concatenate([loud, quiet]).astype(np.float32)
    samples[:100] = 1.0
    voiced = np.concatenate([np.ones(200), np.zeros(50)]).astype(np.float32)
    recorded = {"speech": "ok", "offset_frames": 3.0, "peak_r": 0.5}
    found = speech_facts(samples, voiced, recorded, 250, 25.0)
    assert found.voiced_s == 8.0 and found.offset_ms == 120.0 and found.lips_agreement == 0.5
    assert found.speech_over_noise_db == pytest.approx(40.0, abs=1.0) and not found.silent
    assert found.clipped == pytest.approx(100 / len(samples))
    unsure = speech_facts(samples, voiced, {"speech": "unsynchronised", "offset_frames": 0.0}, 250, 25.0)
    assert unsure.offset_ms is None
    none = speech_facts(None, None, {"speech": "none"}, 250, 25.0)
    assert not none.present and none.silent and none.level_db is None and none.voiced_s == 0.0
