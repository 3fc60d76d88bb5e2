"""Stretches of flags and evenly spread indices."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.core.sequence import pieces, spread, stretches


def test_stretches_of_a_flag() -> None:
    flags = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)
    assert stretches(flags) == [(0, 2), (3, 4), (6, 9)]
    assert stretches(flags, at_least=2) == [(0, 2), (6, 9)]
    assert stretches(~flags) == [(2, 3), (4, 6)]
    assert stretches(~flags & flags) == []
    flags = np.array([1, 0, 1, 1, 0, 1, 1, 1], bool)
    assert stretches(flags) == [(0, 1), (2, 4), (5, 8)] and stretches(flags, 3) == [(5, 8)]
    assert stretches(np.zeros(3, bool)) == [] and stretches(np.ones(3, bool)) == [(0, 3)]


@pytest.mark.parametrize(("count", "at_most"), [(1, 5), (4, 9), (100, 7)])
def test_spread_reaches_both_ends(count: int, at_most: int) -> None:
    found = spread(count, at_most)
    assert found[0] == 0 and found[-1] == count - 1
    assert len(found) == min(count, at_most) and (np.diff(found) > 0).all()


def test_pieces_lie_between_joints() -> None:
    assert pieces(5) == [range(5)]
    assert pieces(10, (3, 4)) == [range(3), range(3, 4), range(4, 10)]
