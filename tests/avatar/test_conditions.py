"""Tests of the condition track."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ua3dtalk.avatar.conditions import STREAMS, ConditionTrack


def _track(frames: int = 10) -> ConditionTrack:
    rng = np.random.default_rng(0)
    shapes = {"audio": (42, 16), "upper": (6,), "lower": (13,), "content": (64,), "style": (64,), "emotion": (128,)}
    return ConditionTrack.from_arrays(
        **{name: rng.normal(size=(frames, *shape)).astype(np.float32) for name, shape in shapes.items()}
    )


def test_frame_sees_four_frames_back_and_three_ahead() -> None:
    track = _track()
    frame = track.frame(5)
    assert torch.equal(frame.audio, track.audio[1:9])
    assert torch.equal(frame.lower, track.lower[5])
    assert torch.equal(frame.present, torch.ones(4))


def test_context_repeats_the_ends() -> None:
    track = _track()
    assert torch.equal(track.frame(0).audio[:5], track.audio[:1].expand(5, -1, -1))
    assert torch.equal(track.frame(9).audio[4:], track.audio[9:].expand(4, -1, -1))


def test_slice_keeps_all_streams() -> None:
    part = _track()[2:7]
    assert len(part) == 5 and torch.equal(part.style, _track().style[2:7])


def test_unequal_lengths_and_unknown_names_are_refused() -> None:
    track = _track()
    with pytest.raises((ValueError, TypeError)):  # under pytest the annotations already refuse it
        ConditionTrack(**{name: getattr(track, name) for name in vars(track)} | {"style": track.style[:-1]})
    with pytest.raises(ValueError, match="smell"):
        track.frame(0).without("smell")
    with pytest.raises(IndexError):
        track.frame(10)


def test_without_clears_only_the_named_stream() -> None:
    frame = _track().frame(3).without("emotion")
    assert frame.present.tolist() == [1.0, 1.0, 1.0, 0.0] and STREAMS[3] == "emotion"
