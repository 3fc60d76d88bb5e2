"""From speech to conditions: lengths, emotion, pose and torso; sounds that cannot be spoken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_space import Askable
from ua3dtalk.priors.features import EmotionMix
from ua3dtalk.synthesis.drive import follow, frames_of, make_drive, read_speech, requested_emotion
from ua3dtalk.synthesis.options import SynthesisOptions


def drive(fakes: Any, duration_s: float = 4.0, **options: Any) -> tuple[Any, Any]:
    avatar = fakes.Avatar()
    samples = fakes.voice(duration_s)
    speech = fakes.speech(samples)
    made = make_drive(avatar, speech, frames_of(samples), SynthesisOptions(**options), np.random.default_rng(0))
    return avatar, made


@pytest.mark.parametrize("samples", [320, 641, 16000, 16319, 16321, 159_999])
def test_picture_and_sound_differ_by_half_a_frame_at_most(samples: int) -> None:
    frames = frames_of(np.zeros(samples, np.float32))
    assert abs(frames / 25 - samples / 16000) <= 0.5 / 25 + 1e-9


def test_every_frame_has_everything(fakes: Any) -> None:
    avatar, made = drive(fakes, 10.0)
    assert len(made) == len(made.conditions) == len(made.torso) == 250
    assert made.labels is None and avatar.priors.requests == [None]
    # Twice round the loop of 60: upper signals and torso run with the pose.
    assert np.ptp(made.torso) == 59
    blinks = np.flatnonzero(made.conditions.upper[:, 0].numpy() > 4)
    assert len(blinks) and (np.abs(made.torso[blinks] - 29.5) <= 2).all()


@pytest.mark.parametrize("pose", ["source", "still"])
def test_the_lips_are_asked_for_at_the_pose_that_is_drawn(fakes: Any, pose: str) -> None:
    avatar, made = drive(fakes, pose=pose)
    np.testing.assert_array_equal(avatar.priors.poses[0], made.viewmats)


def test_nothing_is_kept_twice(fakes: Any) -> None:
    """What drives a frame and what the priors said are the same memory: it grows with the speech."""
    _, made = drive(fakes)
    for name in ("lower", "content", "style", "emotion"):
        assert np.shares_memory(getattr(made.features, name), getattr(made.conditions, name).numpy())


def test_label_and_intensity_reach_the_priors_and_the_brows(fakes: Any) -> None:
    for intensity in (0.0, 0.4, 1.0):
        avatar, made = drive(fakes, emotion="Happiness", intensity=intensity, blink="none", pose="still")
        assert set(made.labels) == {"happy" if intensity else "neutral"} and made.borrowed == ()
        assert np.allclose(avatar.priors.requests[0].leading()[1], intensity)
        assert np.allclose(made.conditions.emotion.numpy(), intensity)
        assert np.allclose(made.conditions.upper.numpy()[:, 1], intensity)  # upper_offset is added
        assert (made.torso == made.torso[0]).all()


def test_timeline_reaches_the_priors(fakes: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time_s,label,intensity\n0,happy,1\n2,sad,0.5\n")
    avatar, made = drive(fakes, timeline=path)
    asked = avatar.priors.requests[0]
    assert asked.labels == ("happy", "sad") and len(asked.strengths) == 100
    assert np.allclose(asked.strengths[20], [1, 0]) and np.allclose(asked.strengths[80], [0, 0.5])
    assert made.labels[20] == "happy" and made.labels[80] == "sad"


def test_unknown_emotion(fakes: Any) -> None:
    for extrapolate in (False, True):
        with pytest.raises(UserError, match=r"'hungry' is not known.*Use neutral, happy, sad"):
            drive(fakes, emotion="hungry", extrapolate=extrapolate)


def test_an_emotion_that_was_never_shown_is_refused_or_borrowed(
    fakes: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time_s,label\n0,happy\n2,fear\n")
    for options in ({"emotion": "fear"}, {"timeline": path}):
        with pytest.raises(UserError, match="never showed 'fearful', only happy, sad") as caught:
            drive(fakes, **options)
        assert "--extrapolate" in str(caught.value) and "\n" not in str(caught.value)
        with caplog.at_level("WARNING", logger="ua3dtalk"):
            _, made = drive(fakes, extrapolate=True, **options)
        assert made.borrowed == ("fearful",) and "fearful" in caplog.text
        assert made.asked is not None and made.asked.extrapolate and made.labels[-1] == "fearful"


def test_what_the_subject_showed_is_not_borrowed(fakes: Any) -> None:
    _, made = drive(fakes, emotion="happy", extrapolate=True)
    assert made.borrowed == ()


def test_a_subject_without_labels_says_so() -> None:
    askable = Askable(shown=(), lent=("fearful", "happy"))
    with pytest.raises(UserError, match=r"carries no emotion labels.*'happy'.*--labels"):
        requested_emotion(askable, 10, SynthesisOptions(emotion="happy"))
    assert requested_emotion(askable, 10, SynthesisOptions(emotion="neutral")) is not None
    assert requested_emotion(askable, 10, SynthesisOptions(emotion="happy", extrapolate=True)) is not None
    assert requested_emotion(askable, 10, SynthesisOptions()) is None


def test_a_driving_video_is_cut_or_held(caplog: pytest.LogCaptureFixture) -> None:
    mix = EmotionMix(("happy",), np.linspace(0, 1, 50, dtype=np.float32)[:, None])
    assert np.allclose(follow(mix, 20, 0.5).strengths, 0.5 * mix.strengths[:20])
    with caplog.at_level("WARNING", logger="ua3dtalk"):
        longer = follow(mix, 80, 1.0).strengths
    assert np.allclose(longer[:50], mix.strengths) and (longer[50:] == 1).all()
    assert "ends at 2.0 s, the speech at 3.2 s" in caplog.text


def test_pose_file(fakes: Any, tmp_path: Path) -> None:
    path = tmp_path / "poses.npz"
    turned = fakes.Avatar().loop.viewmats[5:25]
    np.savez(path, viewmats=turned)
    _, made = drive(fakes, pose=str(path))
    assert np.allclose(made.viewmats[0], turned[0]) and made.torso.min() >= 4 and made.torso.max() <= 26


# --- sounds ---------------------------------------------------------------------------------------------------------


def test_silence_is_refused(tmp_path: Path) -> None:
    for level in (0.0, 1e-4):
        noise = level * np.random.default_rng(0).normal(size=32000)
        soundfile.write(tmp_path / "quiet.wav", noise.astype(np.float32), 16000, subtype="FLOAT")
        with pytest.raises(UserError, match=r"quiet.wav is silent \(never above -60 dB\)"):
            read_speech(tmp_path / "quiet.wav")


def test_one_word_in_silence_is_speech(fakes: Any, tmp_path: Path) -> None:
    samples = np.zeros(160_000, np.float32)
    samples[80_000:84_000] = fakes.voice(0.25)
    soundfile.write(tmp_path / "word.wav", samples, 16000)
    assert len(read_speech(tmp_path / "word.wav")) == 160_000


def test_no_speech_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_speech(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("not a sound")
    with pytest.raises(UserError):
        read_speech(tmp_path / "text.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), 16000)
    with pytest.raises(UserError):
        read_speech(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "click.wav", np.ones(100, np.float32) * 0.5, 16000)
    with pytest.raises(UserError, match="shorter than one frame"):
        read_speech(tmp_path / "click.wav")


def test_stereo_48_khz_is_the_same_speech(fakes: Any, tmp_path: Path) -> None:
    samples = fakes.voice(2.0)
    soundfile.write(tmp_path / "stereo.wav", np.repeat(samples.repeat(3)[:, None], 2, 1), 48000)
    assert abs(len(read_speech(tmp_path / "stereo.wav")) - len(samples)) <= 2
