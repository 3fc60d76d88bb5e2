"""How emotions move faces: read from signals, lent to other faces, honest about people left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.expression_shift import borrow, no_shift
from ua3dtalk.priors.features import EmotionMix
from ua3dtalk.priors.visual_emotion import SHIPPED, FaceEmotions
from ua3dtalk.priors.visual_emotion_training import Clip, fit_face_emotions, leave_one_person_out, unweighted_recall
from ua3dtalk.subject.face_signals import FACE_SIGNALS, NUM_FACE_SIGNALS, face_signals
from ua3dtalk.tracking.topology import mean_face

SMILE, FROWN = FACE_SIGNALS.index("corners_up"), FACE_SIGNALS.index("AU04")


def made_person(rng: np.random.Generator, feelings: dict[str, float], frames: int = 100) -> list[np.ndarray]:
    """A face of its own (0.03) whose corners go up when happy and whose brows go down when angry, by 0.2 at full."""
    own = rng.normal(0, 0.03, NUM_FACE_SIGNALS)
    videos = []
    for label, strength in feelings.items():
        signals = own + 0.01 * np.cumsum(rng.normal(0, 0.3, (frames, NUM_FACE_SIGNALS)), axis=0) / 5
        column = {"happy": SMILE, "angry": FROWN}.get(label)
        if column is not None:
            signals[:, column] += 0.2 * strength
        videos.append(signals)
    return videos


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(12):
        label = ("neutral", "happy", "angry")[i % 3]
        made.append(Clip(f"p{i}", label, made_person(rng, {label: 1.0})[0]))
    return [*made, *(Clip(f"n{i}", "neutral", made_person(rng, {"neutral": 0})[0]) for i in range(12))]


def test_people_left_out_are_read(clips: list[Clip]) -> None:
    shares = leave_one_person_out(clips)
    assert unweighted_recall(shares, ("neutral", "happy", "angry")) > 0.9
    wrong = [Clip(c.person, {"happy": "angry", "angry": "happy"}.get(c.label, c.label), c.signals) for c in clips[::2]]
    assert unweighted_recall(leave_one_person_out([*clips[1::2], *wrong]), ("happy", "angry")) < 0.7  # it can fail


def test_strength_follows_the_face(clips: list[Clip]) -> None:
    model = fit_face_emotions(clips)
    feelings = {"neutral": 0.0, "happy": 1.0}
    calm, smile = made_person(np.random.default_rng(5), feelings, frames=150)
    reading = model.read(np.concatenate([calm, smile, 0.5 * (calm + smile)]), ("angry", "happy"))
    assert reading.labels == ("angry", "happy")
    means = reading.strengths.reshape(3, 150, 2)[:, 30:-30].mean(axis=1)
    assert means[0].max() < 0.2 and means[1, 1] > 0.8 and 0.3 < means[2, 1] < 0.7 and means[1, 0] < 0.05
    mix = reading.mix().mix(450)
    assert mix.strengths.sum(axis=1).max() <= 1 and np.abs(np.diff(mix.strengths, axis=0)).max() < 0.2  # no jumps
    assert set(reading.named()[180:270]) == {"happy"}


def test_only_what_is_allowed_comes_out(clips: list[Clip]) -> None:
    model = fit_face_emotions(clips)
    reading = model.read(made_person(np.random.default_rng(5), {"happy": 1.0})[0], model.readable)
    assert reading.only(("happy",)).mix().strengths.min() > 0.5
    assert reading.only(("angry",)).labels == ("angry",) and reading.only(("angry",)).strengths.max() < 0.1
    nothing = reading.only(()).mix()
    assert nothing.labels == ("neutral",) and (nothing.strengths == 0).all()


def test_one_person_is_too_few_to_be_read(clips: list[Clip]) -> None:
    scared = Clip("p0", "fearful", clips[0].signals + 0.1)
    model = fit_face_emotions([*clips, scared])
    assert "fearful" in model.lendable and "fearful" not in model.readable
    assert model.readable == ("angry", "happy")


def test_saved_is_equal_and_altered_is_refused(clips: list[Clip], tmp_path: Path) -> None:
    model = fit_face_emotions(clips)
    model.save(tmp_path / "x.safetensors")
    copy = FaceEmotions.load(tmp_path / "x.safetensors")
    assert copy.labels == model.labels and copy.people == model.people
    np.testing.assert_array_equal(copy.shifts, model.shifts)
    raw = bytearray((tmp_path / "x.safetensors").read_bytes())
    raw[-9] ^= 1
    (tmp_path / "x.safetensors").write_bytes(bytes(raw))
    with pytest.raises(UserError, match="altered"):
        FaceEmotions.load(tmp_path / "x.safetensors")


# --- what comes with the package --------------------------------------------------------------------------------------


def test_shipped_is_small_and_beats_chance() -> None:
    model = FaceEmotions.load()
    assert SHIPPED.stat().st_size < 100_000
    assert model.readable == ("angry", "happy", "sad")
    assert set(model.lendable) == {"angry", "contempt", "disgusted", "fearful", "happy", "sad"}
    assert model.facts["left_one_person_out"]["recall"] > 0.6  # chance .25


def test_shipped_emotions_look_like_what_they_are() -> None:
    model = FaceEmotions.load()
    shift = {name: dict(zip(FACE_SIGNALS, model.mean_shift(name), strict=True)) for name in model.lendable}
    assert shift["happy"]["width"] > 0.05 and shift["happy"]["corners_up"] > 0.02
    assert shift["sad"]["AU45"] > 0.02 and shift["angry"]["AU04"] > 0.02 and shift["fearful"]["AU05"] > 0.005
    with pytest.raises(ValueError, match="surprised"):
        model.mean_shift("surprised")


def made_basis() -> np.ndarray:
    """Motion of the mean face: 0 lifts and widens the mouth's corners, 12 opens jaw and lips, 16 lowers the brows."""
    basis = np.zeros((19, 468, 3))
    basis[0, [61, 291], 1] = 0.002
    basis[0, 61, 0], basis[0, 291, 0] = -0.002, 0.002
    basis[12, [14, 17, 152, 199, 200], 1] = -0.004
    basis[16, [55, 65, 107, 285, 295, 336], 1] = -0.001
    return basis


def test_borrowed_emotions_move_this_face_and_leave_the_jaw_to_speech() -> None:
    mesh, basis, model = mean_face().vertices, made_basis(), FaceEmotions.load()
    shift = borrow(no_shift(np.zeros(128, np.float32)), model, mesh, basis)
    assert shift.lent_labels == model.lendable and shift.lent.shape == (6, 19)
    happy, angry = (shift.lent[shift.lent_labels.index(name)] for name in ("happy", "angry"))
    assert happy[0] > 0.5 and angry[16] > 0.5  # smile, brows
    others = np.delete(np.arange(19), [0, 12, 16])
    assert np.abs(shift.lent[:, others]).max() < 1e-6  # nothing where the mesh does not move
    moved = mesh + np.tensordot(happy, basis, 1)
    rest, now = face_signals(mesh[None])[0], face_signals(moved[None])[0]
    assert now[SMILE] > rest[SMILE]
    assert abs(now[FACE_SIGNALS.index("opening")] - rest[FACE_SIGNALS.index("opening")]) < 0.02


def test_lending_is_in_proportion() -> None:
    shift = borrow(no_shift(np.zeros(128, np.float32)), FaceEmotions.load(), mean_face().vertices, made_basis())
    mix = EmotionMix(("sad", "happy"), np.array([[0, 0], [0, 0.5], [0, 1], [0.5, 0.5]], np.float32))
    lent = shift.lend(mix)
    assert (lent[0] == 0).all() and np.allclose(lent[2], 2 * lent[1])
    sad, happy = (shift.lent[shift.lent_labels.index(name)] for name in ("sad", "happy"))
    assert np.allclose(lent[3], 0.5 * sad + 0.5 * happy, atol=1e-6)
