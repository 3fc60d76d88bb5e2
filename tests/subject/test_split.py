"""The split keeps a gap between training and test."""

from __future__ import annotations

import pytest

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
