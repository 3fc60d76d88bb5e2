"""Options refuse what cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.synthesis.options import SynthesisOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"intensity": 1.2}, "--intensity 1.2"),
        ({"intensity": float("nan")}, "--intensity nan"),
        ({"min_confidence": 2.0}, "--min-confidence 2.0"),
        ({"side_by_side": True}, "--side-by-side belongs to a heat video"),
        ({"blink": "often"}, "--blink 'often'"),
        ({"emotion": " "}, "--emotion is empty"),
        ({"timeline": Path("a.csv"), "emotion": "happy"}, "--emotion and --timeline exclude"),
        ({"timeline": Path("a.csv"), "emotion_from": Path("a.mp4")}, "--timeline and --emotion-from exclude"),
        ({"emotion": "happy", "emotion_from": Path("a.mp4")}, "--emotion and --emotion-from exclude"),
        ({"timeline": Path("a.csv"), "intensity": 0.5}, "--timeline has intensities of its own"),
        ({"extrapolate": True}, "--extrapolate has nothing to borrow"),
        ({"pose": "nowhere.npz"}, "--pose 'nowhere.npz' does not exist"),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        SynthesisOptions(**values)
    assert message in str(caught.value)


def test_defaults_follow_the_source() -> None:
    options = SynthesisOptions()
    assert (options.emotion, options.intensity, options.pose, options.blink) == ("auto", 1.0, "source", "source")
