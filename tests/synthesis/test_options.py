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
        ({"blink": "often"}, "--blink 'often'"),
        ({"emotion": " "}, "--emotion is empty"),
        ({"timeline": Path("a.csv"), "emotion": "happy"}, "exclude"),
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
