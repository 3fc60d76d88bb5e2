"""The generated actor: repeatable, found by the face tracker, in step with its own truth."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import Actor, generate_actor
from ua3dtalk.subject.actor.phones import CLOSED_LIPS
from ua3dtalk.subject.actor.truth import ActorTruth, eye_aspect
from ua3dtalk.subject.labels import Label, read_emotion_csv

CONFIG = ActorConfig(
    seed=3,
    plan=(Cue(label="neutral", intensity=0.0, seconds=2.2), Cue(label="happy", intensity=1.0, seconds=1.4)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("actor")
    generate_actor(out, CONFIG)
    return out


@pytest.fixture(scope="module")
def truth(folder: Path) -> ActorTruth:
    return ActorTruth.load(folder / "truth.npz")


@pytest.fixture(scope="module")
def actor() -> Actor:
    return Actor(CONFIG)


def test_files_say_what_was_asked(folder: Path, truth: ActorTruth) -> None:
    with av.open(folder / "actor.mp4") as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    with av.open(folder / "actor.mp4") as video:
        sound = sum(frame.samples for frame in video.decode(audio=0))
    assert len(frames) == 90 == len(truth.viewmats) and frames[0].shape == (256, 256, 3)
    assert sound == pytest.approx(3.6 * 16000, abs=2100)  # AAC pads to whole blocks of 1024
    spans = read_emotion_csv(folder / "emotion.csv")
    assert [(s.start_s, s.end_s, s.label, s.intensity) for s in spans] == [
        (0.0, 2.2, "neutral", 0.0),
        (2.2, 3.6, "happy", 1.0),
    ]


def test_a_seed_gives_the_same_actor_and_another_seed_another(actor: Actor, truth: ActorTruth) -> None:
    again = Actor(CONFIG)
    assert np.array_equal(actor.render(20), again.render(20))
    assert np.array_equal(actor.speech.audio, again.speech.audio)
    assert np.array_equal(again.truth().landmarks, truth.landmarks)
    other = Actor(ActorConfig(seed=4, plan=CONFIG.plan))
    assert np.abs(other.render(20).astype(int) - actor.render(20)).mean() > 5


def test_the_face_tracker_finds_it_and_follows_the_lips(folder: Path, truth: ActorTruth) -> None:
    landmarks = pytest.importorskip("ua3dtalk.tracking.landmarks")
    with av.open(folder / "actor.mp4") as video, landmarks.FaceMeshLandmarks() as detector:
        found = [detector.detect(frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
    assert all(points is not None for points in found)
    points = np.stack(found)[:, :468]
    error = np.linalg.norm(points[..., :2] - truth.projected(), axis=2)
    assert error.mean() < 3  # measured 1.3 px
    scale = np.linalg.norm(points[:, 33] - points[:, 263], axis=1)
    opening = np.linalg.norm(points[:, 13] - points[:, 14], axis=1) / scale
    assert np.corrcoef(opening, truth.opening)[0, 1] > 0.9  # measured .95 to .98
    assert np.corrcoef(eye_aspect(points[..., :2]), truth.eye_aspect)[0, 1] > 0.8  # measured .96


def test_lips_are_in_step_with_the_phones(truth: ActorTruth) -> None:
    phones = np.array(truth.frame_phones)
    middle = []
    for symbol, (start, end) in zip(truth.phone_symbols, truth.phone_times_s, strict=True):
        if symbol in CLOSED_LIPS:
            middle.append(truth.opening[min(round(0.5 * (start + end) * 25), len(phones) - 1)])
    assert len(middle) >= 3
    assert max(middle) < 0.03, "m, b and p close the lips"  # measured below .02
    opened = truth.opening[np.isin(phones, ["AA", "AE", "AW", "AY", "AO"])]
    assert opened.mean() > 0.08  # measured .13


def test_the_emotion_shows_in_the_face(truth: ActorTruth) -> None:
    smile = truth.weights[:, truth.expressions.index("smile")]
    emotions = np.array(truth.emotions)
    assert smile[:40].max() < 0.02 and smile[-20:].min() > 0.8
    corners = truth.landmarks[:, [61, 291], 1].mean(1) - truth.landmarks[:, 1, 1]
    assert corners[-20:].mean() - corners[:40].mean() > 0.002
    assert set(emotions[:55]) == {"neutral"} and set(emotions[55:]) == {"happy"}


def test_labels_lie_where_the_points_are(actor: Actor, truth: ActorTruth) -> None:
    labels = actor.render_labels(20)
    at = {name: truth.projected()[20, number] for name, number in (("nose", 1), ("chin", 199), ("forehead", 151))}
    for x, y in at.values():
        assert labels[int(y), int(x)] == Label.SKIN
    x, y = truth.projected()[20, [61, 291, 0, 17]].mean(0)
    assert labels[int(y), int(x)] in (Label.LIPS, Label.INNER_MOUTH)
    x, y = truth.projected()[20, [33, 133, 159, 145]].mean(0)
    assert labels[int(y), int(x)] in (Label.EYES, Label.SKIN)
    assert set(np.unique(labels)) >= {
        Label.BACKGROUND,
        Label.TORSO,
        Label.NECK,
        Label.HAIR,
        Label.SKIN,
        Label.BROWS,
        Label.EYES,
        Label.LIPS,
    }
    assert (labels[0] == Label.BACKGROUND).mean() > 0.9


def test_the_head_moves_within_its_range(truth: ActorTruth) -> None:
    assert np.abs(np.degrees(truth.angles_rad[:, 0])).max() <= 12
    rotation = truth.viewmats[:, :3, :3]
    assert np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() < 1e-9


def test_a_plan_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds"):
        ActorConfig(plan=(Cue(label="happy", intensity=2.0, seconds=1.0),))
