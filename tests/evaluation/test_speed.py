"""Speed facts: arithmetic of what was timed. Nothing here measures time."""

from __future__ import annotations

import pytest

from ua3dtalk.evaluation.speed import StageClock, speed_facts


def test_facts_follow_from_the_durations() -> None:
    clock = StageClock()
    for _ in range(2):
        with clock.stage("render"):
            pass
    assert len(clock.seconds["render"]) == 2 and all(s >= 0 for s in clock.seconds["render"])
    clock = StageClock()
    clock._seconds = {"hear": [0.5], "render": [1.0, 0.02, 0.02, 0.04], "encode": [0.1, 0.02, 0.02, 0.01]}
    facts = speed_facts(clock, ("hear",), ("render", "encode"))
    assert facts["frames"] == 4 and facts["once_s"] == {"hear": 0.5}
    assert facts["stages"]["render"] == {"p50_ms": 20.0, "p95_ms": pytest.approx(38.0), "first_ms": 1000.0}
    assert facts["fps_p50"] == 25.0 and facts["fps_p95"] == pytest.approx(1 / 0.049, abs=0.01)
    assert facts["first_frame_s"] == pytest.approx(1.6), "hearing, then the slow first frame"


def test_a_failed_stage_is_not_counted() -> None:
    clock = StageClock()
    with pytest.raises(OSError, match="disk"), clock.stage("encode"):
        raise OSError("disk")
    assert "encode" not in clock.seconds
