"""The split keeps a gap between training and test."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.core.sequence import pieces
from ua3dtalk.subject.split import GAP_FRAMES, make_split


@pytest.mark.parametrize("num_frames", [75, 200, 1499, 15000])
def test_last_eleventh_is_test_and_a_gap_lies_before_it(num_frames: int) -> None:
    split = make_split(num_frames)
    assert split.test.stop == num_frames
    assert len(split.test) == num_frames // 11
    assert split.train.start == 0
    assert split.test.start - split.train.stop == GAP_FRAMES


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="num_frames must be at least"):
        make_split(17)
    assert len(make_split(18).train) == 1


@pytest.mark.parametrize("joints", [(500,), (700,), (300, 350, 600)])
def test_several_videos_test_at_the_end_of_the_longest(joints: tuple[int, ...]) -> None:
    split, videos = make_split(1000, joints), pieces(1000, joints)
    longest = max(videos, key=lambda video: (len(video), video.start))
    assert split.test == range(longest.stop - 90, longest.stop)
    train = np.array(split.train)
    assert (np.diff(train) > 0).all()
    assert not np.isin(train, range(split.test.start - GAP_FRAMES, split.test.stop)).any()
    for joint in joints:  # no window of frames t−4 … t+3 reaches over a joint
        assert not ((train - 4 < joint) & (train + 3 >= joint)).any()
    assert all(np.isin(video, train).sum() > 0.3 * len(video) for video in videos), "every video is learnt from"
    assert len(train) == 1000 - 90 - GAP_FRAMES - 7 * len(joints) + 3 * (longest.stop < 1000)


def test_many_short_videos_hold_out_half_of_one() -> None:
    split = make_split(1000, tuple(range(50, 1000, 50)))
    assert split.test == range(975, 1000)
