"""A driving video becomes strengths of the emotions that this avatar can show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.priors.emotion_space import Askable
from ua3dtalk.synthesis.drive import requested_emotion
from ua3dtalk.synthesis.driving import read_driving
from ua3dtalk.synthesis.options import SynthesisOptions

OWN = Askable(shown=("happy", "neutral", "sad"), lent=("angry", "happy", "sad"))


@pytest.fixture(scope="module")
def smile(shared: Path) -> Path:
    return shared / "data" / "clips" / "actor_happy_8s_256_noaudio.mp4"


def test_a_happy_face_asks_for_happy(smile: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The shipped model has seen this clip: this tests the way from file to request, not its skill."""
    with caplog.at_level("INFO", logger="ua3dtalk"):
        asked = requested_emotion(OWN, 40, SynthesisOptions(emotion_from=smile, intensity=0.5))
    assert asked is not None and asked.labels == ("happy", "sad") and len(asked.strengths) == 40
    assert asked.strengths[:, 0].mean() > 0.2 and asked.strengths[:, 1].max() < 0.1
    assert asked.strengths.max() <= 0.5  # --intensity is a factor
    assert "shows: happy" in caplog.text and "never showed it: angry" in caplog.text


def test_what_the_avatar_cannot_show_counts_as_neutral(smile: Path) -> None:
    reading = read_driving(smile, Askable(shown=("sad",), lent=("happy",)), False, Silent(), 1.0)
    assert reading.labels == ("sad",) and reading.strengths.max() < 0.1
    borrowed = read_driving(smile, Askable(shown=("sad",), lent=("happy",)), True, Silent(), 1.0)
    assert borrowed.labels == ("happy", "sad") and np.mean(borrowed.strengths[:, 0]) > 0.4


def test_an_avatar_without_emotions_says_so_before_the_video_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="carries no emotion labels"):
        read_driving(tmp_path / "none.mp4", Askable(shown=(), lent=OWN.lent), False, Silent())
    with pytest.raises(UserError, match="never showed"):
        read_driving(tmp_path / "none.mp4", Askable(shown=("smug",), lent=OWN.lent), False, Silent())
