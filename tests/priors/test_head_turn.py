"""The head's turn in the lower face: found beside speech, never invented, never carried beyond what was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_speaker import made_opening, made_speech, made_subject, made_track
from scipy.spatial.transform import Rotation

from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.priors.fitted import KIND, Priors, subject_features
from ua3dtalk.priors.head_turn import HeadTurn, fit_head_turn, no_turn
from ua3dtalk.priors.person import Fold, make_folds
from ua3dtalk.priors.pipeline import PriorsConfig, fit_priors
from ua3dtalk.priors.style import StyleConfig
from ua3dtalk.subject.split import make_split

FRAMES = 600
MOVED = 1
"""The coefficient that goes with the nod."""
TURNED_ROUND = 2
"""A coefficient that goes with it, and after half of the time against it."""


@pytest.fixture(scope="module")
def nods() -> np.ndarray:
    """Radians: slow, of about 4°."""
    steps = np.random.default_rng(2).normal(size=FRAMES + 60)
    slow = np.convolve(steps, np.hanning(63)[1:-1], "valid")
    return 0.07 * (slow[:FRAMES] - slow[:FRAMES].mean()) / slow[:FRAMES].std()


def posed(nods: np.ndarray) -> np.ndarray:
    viewmats = np.tile(np.eye(4), (len(nods), 1, 1))
    viewmats[:, :3, :3] = Rotation.from_euler("x", nods[:, None]).as_matrix()
    return viewmats


def learnt(nods: np.ndarray, slope: float = 12.0) -> tuple[HeadTurn, np.ndarray, np.ndarray, list[Fold]]:
    """Map, what it makes of the frames, the lower face itself (noise but for the nods in two coefficients), folds."""
    rng = np.random.default_rng(0)
    lips = rng.normal(size=(FRAMES, 14)).astype(np.float32)
    lower = rng.normal(0, 0.5, (FRAMES, 13)).astype(np.float32)
    lower[:, MOVED] += slope * nods + lips[:, 0]
    lower[:, TURNED_ROUND] += slope * nods * np.where(np.arange(FRAMES) < FRAMES // 2, 1, -1)
    folds = make_folds(range(FRAMES))
    turn, made = fit_head_turn(posed(nods), lips, lower, range(FRAMES), folds)
    return turn, made, lower, folds


def test_the_turn_is_found_beside_speech(nods: np.ndarray) -> None:
    turn, made, _, _ = learnt(nods)
    assert turn.weights[0, MOVED] == pytest.approx(12, rel=0.15)
    assert np.corrcoef(made[:, MOVED], nods)[0, 1] > 0.95
    np.testing.assert_allclose(turn.lower(posed(nods))[:, MOVED], nods * turn.weights[0, MOVED], atol=0.01)


def test_where_the_head_says_nothing_nothing_is_added(nods: np.ndarray) -> None:
    _, made, lower, _ = learnt(nods)
    assert not made[:, TURNED_ROUND].any()
    others = [k for k in range(13) if k != MOVED]
    assert np.square(made[:, others]).mean() < 0.02 * np.square(lower[:, others]).mean()
    still, made, _, _ = learnt(np.zeros(FRAMES))
    assert not made.any() and not still.lower(posed(nods)).any()


def test_it_is_not_carried_beyond_the_turns_that_were_seen(nods: np.ndarray) -> None:
    turn, _, _, _ = learnt(nods)
    far, most = turn.lower(posed(np.array([1.0, -1.0]))), turn.lower(posed(np.array([nods.max(), nods.min()])))
    np.testing.assert_allclose(far[:, MOVED], most[:, MOVED], rtol=1e-4)


def test_held_out_blocks_are_made_by_the_others(nods: np.ndarray) -> None:
    """Poison one block: the slopes of the others follow, its own does not; the share of the map is common to all."""
    _, before, lower, folds = learnt(nods)
    held = folds[1].held
    lips = np.random.default_rng(0).normal(size=(FRAMES, 14)).astype(np.float32)
    lower[held, MOVED] += 60 * nods[held].astype(np.float32)
    _, after = fit_head_turn(posed(nods), lips, lower, range(FRAMES), folds)
    grown = [after[f.held, MOVED].std() / before[f.held, MOVED].std() for f in folds]
    assert all(other > 1.5 * grown[1] for k, other in enumerate(grown) if k != 1), grown  # 1 each if it saw its own


def test_a_subject_has_its_turn_in_its_features_and_an_older_file_has_none(
    nods: np.ndarray, tmp_path: Path, teacher_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    speech = made_speech(FRAMES / 25)
    track = made_track(made_opening(speech, FRAMES))
    track.lower[:, MOVED] += (25 * nods).astype(np.float32)
    track.viewmats[:] = posed(nods)
    subject = made_subject(tmp_path, track)
    speech.save(tmp_path / "speech.npz")
    fit_priors(subject, PriorsConfig(folds=3, style=StyleConfig(steps=4, batch=4), emotion_model=teacher_path))
    path, stored = tmp_path / "priors.safetensors", subject_features(tmp_path)
    test = list(make_split(FRAMES).test)
    assert np.corrcoef(stored.lower[test, MOVED], nods[test])[0, 1] > 0.9
    priors = Priors.load(path)
    again = priors.features(speech, FRAMES, viewmats=track.viewmats).lower
    np.testing.assert_allclose(again[test], stored.lower[test], atol=1e-5)

    tensors, header = load_tensors(path, kind=KIND)
    older = {name: tensor for name, tensor in tensors.items() if not name.startswith("turn.")}
    save_tensors(tmp_path / "older.safetensors", older, kind=KIND, header=header)
    with caplog.at_level("INFO"):
        plain = Priors.load(tmp_path / "older.safetensors")
    assert "older version" in caplog.text
    np.testing.assert_array_equal(plain.lips.turn.weights, no_turn().weights)
    np.testing.assert_array_equal(
        plain.features(speech, FRAMES, viewmats=track.viewmats).lower, priors.features(speech, FRAMES).lower
    )
