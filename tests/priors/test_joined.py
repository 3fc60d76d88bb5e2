"""Several recordings in one subject: each is heard as if it were alone, and all emotions are in every fold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from made_speaker import made_opening, made_speech, made_subject, made_track

from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.video import VideoReader
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.context import apply_to_context, phone_context
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.features import EmotionRequest
from ua3dtalk.priors.offset import Offset, correlation
from ua3dtalk.priors.person import FOLD_GAP, make_folds
from ua3dtalk.priors.pipeline import Priors, PriorsConfig, fit_priors, subject_features
from ua3dtalk.priors.silence import quiet_weight
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.priors.speech_stage import offsets_of_one_camera, run_speech_stage
from ua3dtalk.priors.style import StyleConfig, StyleNet, _starts, style_features
from ua3dtalk.recipes.content_clips import find_landmarks
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.parts import joints_of, sound_offset_frames, split_of
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.normalised import normalised_points

FRAMES = (200, 75, 125)
JOINTS = (200, 275)


@pytest.fixture(scope="module")
def recordings() -> list[SpeechFeatures]:
    made = [made_speech(count / 25, seed=k) for k, count in enumerate(FRAMES)]
    return [one.part(0, 4 * count) for one, count in zip(made, FRAMES, strict=True)]


@pytest.fixture(scope="module")
def joined(recordings: list[SpeechFeatures]) -> SpeechFeatures:
    return SpeechFeatures.joined(recordings)


def name_videos(subject: Subject, counts: tuple[int, ...]) -> Subject:
    starts = np.cumsum([0, *counts]).tolist()
    videos = [
        {"name": f"{k}.mp4", "sha256": str(k), "first": first, "num_frames": count}
        for k, (first, count) in enumerate(zip(starts, counts, strict=False))
    ]
    subject.finish_stage("frames", [], {"videos": videos})
    return subject


def test_joints_are_kept_in_the_file(joined: SpeechFeatures, tmp_path: Path) -> None:
    assert joined.joints == (800, 1100) and joined.num_audio_frames == 1600
    joined.save(tmp_path / "speech.npz")
    assert SpeechFeatures.load(tmp_path / "speech.npz").joints == (800, 1100)
    with pytest.raises(ValueError, match="ascend"):
        SpeechFeatures(joined.phones, joined.mel, joined.voice, encoder="x", joints=(1100, 800))


def test_nothing_is_heard_across_a_joint(
    joined: SpeechFeatures, recordings: list[SpeechFeatures], teacher: EmotionTeacher
) -> None:
    prior = ContentPrior.load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = StyleNet().eval()

    def features(speech: SpeechFeatures, count: int) -> list[np.ndarray]:
        voiced = voice_activity(speech, count)
        heard = teacher.hear(speech, voiced)
        times_s = np.arange(count) / 25
        return [
            speech.windows(count), voiced, prior.features(speech, voiced), phone_context(speech, times_s),
            apply_to_context(speech, times_s, prior.weights), style_features(net, speech, count),
            heard.embedding, heard.probabilities, heard.confidence, heard.arousal, heard.intensity,
            quiet_weight(voiced, [round(joint / 4) for joint in speech.joints]),
        ]  # fmt: skip

    alone = [features(one, count) for one, count in zip(recordings, FRAMES, strict=True)]
    for whole, parts in zip(features(joined, sum(FRAMES)), zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_contexts_of_any_frames(joined: SpeechFeatures, recordings: list[SpeechFeatures]) -> None:
    frames = np.array([399, 3, 275, 199, 274, 200])
    got = phone_context(joined, frames / 25)
    starts = np.array([275, 0, 275, 0, 200, 200])
    which = [2, 0, 2, 0, 1, 1]
    want = [phone_context(recordings[k], (frames[i : i + 1] - starts[i]) / 25) for i, k in enumerate(which)]
    np.testing.assert_allclose(got, np.concatenate(want), atol=1e-6)


def test_style_is_learnt_within_recordings() -> None:
    starts, length = _starts(range(400), 50, [0, *JOINTS])
    assert length == 50 and len(starts) == 151 + 26 + 76
    assert not any(((starts < joint) & (starts + length > joint)).any() for joint in JOINTS)
    alone, _ = _starts(range(400), 50, [0])
    assert len(alone) == 351


def test_every_fold_learns_from_every_video() -> None:
    frames = [i for i in range(400) if i not in range(180, 200)]
    folds = make_folds(frames, 4, JOINTS)
    assert sorted(i for fold in folds for i in fold.held) == frames
    for fold in folds:
        fit, held = np.array(fold.fit), np.array(fold.held)
        for first, stop in pairwise((0, *JOINTS, 400)):
            own_fit, own_held = (x[(x >= first) & (x < stop)] for x in (fit, held))
            assert len(own_fit) and len(own_held)
            assert np.abs(own_fit[:, None] - own_held[None]).min() > FOLD_GAP
    (plain,) = {tuple(map(tuple, (f.fit, f.held))) for f in make_folds(range(100), 2)[:1]}
    assert plain == (tuple(range(66, 100)), tuple(range(50)))


def test_every_offset_is_found_by_itself(shared: Path, tmp_path: Path) -> None:
    """Two parts of one clip, the sound of the second moved by six frames against its picture."""

    clip = shared / "data" / "clips" / "lieu_60s_256.mp4"
    landmarks = find_landmarks(VideoReader(clip, max_seconds=16.0))
    audio = read_audio(clip, 0.0, 17.0)[0]
    audio = np.concatenate([audio[: 8 * 16000], audio[8 * 16000 - 6 * 640 : 16 * 16000 - 6 * 640]])
    points = np.stack([normalised_points(one) for one in landmarks])[:, :468]
    track = made_track(np.random.default_rng(0).random(400))
    track.head_points[:] = points
    subject = name_videos(made_subject(tmp_path, track, audio), (200, 200))
    run_speech_stage(subject)
    first, second = (sound_offset_frames(subject, i) for i in (0, 399))
    assert subject.facts("speech")["speech"] == "ok" and second - first == pytest.approx(6, abs=1), (first, second)
    speech = subject.speech()
    assert speech.joints == (800,) and speech.num_audio_frames == 1600
    own = PhoneEncoder().encode(subject.audio()[128000:]).shifted(second / 25)
    np.testing.assert_array_equal(speech.mel[800:], own.mel[:800])


def test_short_videos_follow_the_long_one_of_the_same_camera() -> None:
    def said(frames: float, accepted: bool = True) -> Offset:
        return Offset(frames=frames, peak=0.4, rival=0.1, accepted=accepted)

    offsets = [said(3.0), said(12.0), said(1.5), said(-5.0, accepted=False), said(-4.0), said(0.0, accepted=False)]
    lengths = [400, 80, 50, 60, 250, 300]
    assert offsets_of_one_camera(offsets, lengths) == [3.0, 3.0, 1.5, 3.0, -4.0, None]
    assert offsets_of_one_camera(offsets[1:4], lengths[1:4]) == [12.0, 1.5, None], "nothing to follow"


def test_labels_of_videos_can_be_asked_for(teacher_path: Path, tmp_path: Path) -> None:
    counts = (300, 200, 250)
    parts = [made_speech(count / 25, seed=9 + k).part(0, 4 * count) for k, count in enumerate(counts)]
    opening = np.concatenate([made_opening(one, count) for one, count in zip(parts, counts, strict=True)])
    upper = np.random.default_rng(1).normal(0, 0.3, (750, 6))
    upper[300:500, 3] += 2.0
    spans = [(0.0, 12.0, "neutral"), (12.0, 20.0, "angry"), (20.0, 30.0, "smug")]
    labels = tuple(EmotionSpan(start_s=a, end_s=b, label=label, varies=True) for a, b, label in spans)
    subject = name_videos(made_subject(tmp_path, made_track(opening, upper=upper), labels=labels), counts)
    SpeechFeatures.joined(parts).save(tmp_path / "speech.npz")
    fit_priors(subject, PriorsConfig(folds=3, style=StyleConfig(steps=6, batch=4), emotion_model=teacher_path))
    priors = Priors.load(tmp_path / "priors.safetensors")
    assert set(priors.askable.shown) == {"neutral", "angry", "smug"}
    asked = [priors.features(parts[0], 50, EmotionRequest(name)).upper_offset[0, 3] for name in ("neutral", "angry")]
    assert asked[1] - asked[0] == pytest.approx(2.0, abs=0.4)
    test = list(split_of(subject).test)
    assert joints_of(subject) == (300, 500) and test[-1] == 299
    predicted = subject_features(tmp_path).lower
    assert correlation(predicted[test, 12], subject.track().lower[test, 12]) > 0.6
