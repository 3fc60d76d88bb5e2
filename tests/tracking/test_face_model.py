"""The optional face model that a user brings: chosen explicitly, recorded, and the source of the action units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.expression import AU_NAMES, SHAPES_OF_UNIT
from ua3dtalk.tracking.parsing import ParsingConfig
from ua3dtalk.tracking.pipeline import prepare
from ua3dtalk.tracking.prepare_config import PrepareConfig

QUICK = PrepareConfig(max_seconds=3.2, size=192, parsing=ParsingConfig(keyframes=6, rounds=1))


@pytest.fixture(scope="module")
def both(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Subject]:
    clip = shared / "data" / "clips" / "lieu_60s_256.mp4"
    folder = tmp_path_factory.mktemp("face model")
    model = shared / "models" / "face_landmarker.task"
    with_model = replace(QUICK, face_model=model)
    return prepare(clip, folder / "own", QUICK), prepare(clip, folder / "given", with_model)


def test_the_model_is_recorded(both: tuple[Subject, Subject]) -> None:
    own, given = (subject.facts("landmarks") for subject in both)
    assert own["action_units_from"] == "landmarks" and "facemesh" in own["model"]
    assert given["action_units_from"] == "blendshapes" and "face_landmarker.task" in given["model"]


def test_blendshapes_and_landmarks_see_the_same_face(both: tuple[Subject, Subject]) -> None:
    own, given = (subject.track() for subject in both)
    for unit, least in (("AU45", 0.6), ("AU26", 0.5)):
        k = AU_NAMES.index(unit)
        r = float(np.corrcoef(own.action_units[:, k], given.action_units[:, k])[0, 1])
        assert r > least, f"{unit}: {r:.2f}"
    assert set(SHAPES_OF_UNIT) | {"AU25"} == set(AU_NAMES)
    assert float(np.corrcoef(own.opening, given.opening)[0, 1]) > 0.9
