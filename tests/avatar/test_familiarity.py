"""What is unusual is seen, named and told why; what is usual is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from speakers import PRIOR, speaker

from ua3dtalk.avatar.conditions import STREAMS, ConditionTrack
from ua3dtalk.avatar.familiarity import ALARM, FILE, Familiarity
from ua3dtalk.core.errors import UserError

TRAIN, TEST = slice(0, 1200), slice(1250, 1500)


@pytest.fixture(scope="module")
def known() -> Familiarity:
    return Familiarity.fit(speaker(0), np.arange(1500)[TRAIN], PRIOR)


def broken(track: ConditionTrack, stream: str, how: str) -> ConditionTrack:
    value = getattr(track, stream)
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(0)) * value.std(0)
    changed = {
        "noise": value + noise,
        "zero": torch.zeros_like(value),
        "swap": getattr(speaker(5, voice=1), stream),
        "shift": value.roll(30, 0),
    }
    return replace(track, **{stream: changed[how]})


def test_usual_speech_raises_few_alarms(known: Familiarity) -> None:
    found = known.judge(speaker(0)[TEST])
    assert (found.scores > ALARM).mean(0).max() < 0.15
    assert 0.25 < found.confidence.mean() < 0.75
    assert (found.scores[:, STREAMS.index("style")] == 0).all()  # it was never there


@pytest.mark.parametrize("stream", ["audio", "content", "emotion"])
@pytest.mark.parametrize("how", ["noise", "zero"])
def test_noise_and_zeros_are_seen_and_named(known: Familiarity, stream: str, how: str) -> None:
    found = known.judge(broken(speaker(0)[TEST], stream, how))
    frames = range(20, 230)
    assert (found.scores[20:230, STREAMS.index(stream)] > ALARM).mean() > 0.95
    assert np.mean([found.least_trusted(t) == stream for t in frames]) > 0.9
    words = {found.why(t) for t in frames}
    expected = {
        ("audio", "noise"): "noisy audio",
        ("audio", "zero"): "empty sound",
        ("content", "noise"): "noisy speech features",
        ("content", "zero"): "empty speech features",
        ("emotion", "noise"): "emotion that jumps",
        ("emotion", "zero"): "emotion without life",
    }
    assert expected[stream, how] in words
    sure = found.confidence[20:230].mean()
    assert 0.25 < sure < 0.75 if stream == "emotion" else sure < 0.05


@pytest.mark.parametrize(("stream", "other"), [("content", "audio"), ("audio", "content")])
@pytest.mark.parametrize("how", ["swap", "shift"])
def test_what_is_plausible_and_wrong_is_found_by_its_witnesses(
    known: Familiarity, stream: str, other: str, how: str
) -> None:
    found = known.judge(broken(speaker(0), stream, how)[TEST])
    frames = range(20, 230)
    assert np.mean([found.least_trusted(t) == stream for t in frames]) > 0.8
    assert np.mean([found.why(t) == "does not fit the other streams" for t in frames]) > 0.6
    # The other one agrees with the mouth, so it is not blamed.
    assert np.median(found.scores[20:230, STREAMS.index(other)]) < ALARM


def test_another_voice_is_told_and_is_no_alarm(known: Familiarity) -> None:
    same, other = known.judge(speaker(0)[TEST]), known.judge(speaker(7, voice=3)[TEST])
    assert np.median(other.voice) > 2 * ALARM > 2 * np.median(same.voice)
    assert np.median(other.scores[:, 1]) < ALARM


@pytest.mark.parametrize(
    ("stream", "how", "share"),
    [("content", "noise", 0.05), ("content", "zero", 0.05), ("content", "swap", 0.15), ("audio", "zero", 0.5)],
)
def test_a_doubted_stream_is_mended_by_its_witnesses(known: Familiarity, stream: str, how: str, share: float) -> None:
    clean, bad = speaker(0)[TEST], broken(speaker(0), stream, how)[TEST]
    mended = known.mended(bad, known.judge(bad))
    far = lambda track: float((getattr(track, stream) - getattr(clean, stream)).square().mean())  # noqa: E731
    assert far(mended) < share * far(bad)  # measured .04, .04, .10, .41
    others = {name for name in ("audio", "content", "style", "emotion", "lower") if name != stream}
    assert all(torch.equal(getattr(mended, n), getattr(bad, n)) for n in others - {"audio", "content"})


def test_usual_streams_are_left_alone(known: Familiarity) -> None:
    clean = speaker(0)[TEST]
    found = known.judge(clean)
    calm = torch.from_numpy(found.scores[:, STREAMS.index("content")] <= ALARM)
    assert torch.equal(known.mended(clean, found).content[calm], clean.content[calm])
    nothing = replace(found, scores=np.zeros_like(found.scores))
    assert known.mended(clean, nothing).audio is clean.audio


def test_calm_goes_from_the_track_to_the_mean(known: Familiarity) -> None:
    track = speaker(0)[TEST]
    assert torch.allclose(known.calmed(track, np.ones(250)).lower, track.lower, atol=1e-5)
    still = known.calmed(track, np.zeros(250))
    assert torch.allclose(still.lower, speaker(0).lower[TRAIN].mean(0).expand(250, 13), atol=1e-4)
    assert still.audio.std(0).max() < 1e-6 and torch.equal(still.upper, track.upper)


def test_it_comes_back_from_disk(known: Familiarity, tmp_path: Path) -> None:
    known.save(tmp_path)
    again, track = Familiarity.load(tmp_path, PRIOR), speaker(0)[TEST]
    assert np.allclose(again.judge(track).scores, known.judge(track).scores)
    assert np.allclose(again.judge(track).confidence, known.judge(track).confidence)
    assert torch.equal(again.calmed(track, np.full(250, 0.5)).lower, known.calmed(track, np.full(250, 0.5)).lower)
    assert Familiarity.find(tmp_path, PRIOR) is not None
    (tmp_path / FILE).unlink()
    assert Familiarity.find(tmp_path, PRIOR) is None
    with pytest.raises(UserError, match="does not exist"):
        Familiarity.load(tmp_path, PRIOR)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UserError, match="150 frames"):
        Familiarity.fit(speaker(0), np.arange(150), PRIOR)
