"""The sound of held-out frames lies where the features lie, and never in another video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.media.audio import write_flac
from ua3dtalk.recipes.evaluate import held_out_sound
from ua3dtalk.subject.store import SourceFacts, Subject


@pytest.fixture
def subject(tmp_path: Path, rng: np.random.Generator) -> Subject:
    source = SourceFacts(name="a, b", sha256="0", num_frames=200, width=8, height=8)
    made = Subject.create(tmp_path, source)
    write_flac(tmp_path / "audio.flac", rng.uniform(-0.5, 0.5, 200 * 640).astype(np.float32))
    made.finish_stage("audio", ["audio.flac"], {"present": True})
    made.finish_stage("speech", [], {"offset_frames": 2.0})
    return made


def test_it_is_moved_as_the_features_were(subject: Subject) -> None:
    sound = held_out_sound(subject, range(190, 200))
    assert sound is not None and len(sound) == 10 * 640
    np.testing.assert_array_equal(sound[: 8 * 640], subject.audio()[192 * 640 :])
    assert not sound[8 * 640 :].any()


def test_it_ends_with_its_video(subject: Subject) -> None:
    videos = [
        {"name": "a", "sha256": "a", "first": 0, "num_frames": 120},
        {"name": "b", "sha256": "b", "first": 120, "num_frames": 80},
    ]
    subject.finish_stage("frames", [], {"videos": videos})
    subject.finish_stage("speech", [], {"videos": [{"offset_frames": 3.0}, {"offset_frames": -1.0}]})
    sound = held_out_sound(subject, range(110, 120))
    assert sound is not None and len(sound) == 10 * 640
    np.testing.assert_array_equal(sound[: 7 * 640], subject.audio()[113 * 640 : 120 * 640])
    assert not sound[7 * 640 :].any(), "nothing of the second video"
    second = held_out_sound(subject, range(120, 130))
    assert second is not None and not second[:640].any()
    np.testing.assert_array_equal(second[640:], subject.audio()[120 * 640 : 129 * 640])
