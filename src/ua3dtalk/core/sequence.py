"""Places in a sequence: stretches of a flag, items spread evenly, and the pieces between joints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

Stretch = tuple[int, int]
"""First item and the one after the last."""


def stretches(flags: Bool[np.ndarray, " t"], at_least: int = 1) -> list[Stretch]:
    """Stretches of True of at least some length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= at_least]


def spread(count: int, at_most: int) -> Int[np.ndarray, " k"]:
    """At most ``at_most`` of the indices 0 … count − 1, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, count - 1, at_most).astype(int))


def pieces(count: int, joints: Sequence[int] = ()) -> list[range]:
    """The items 0 … count − 1, cut before each of the ascending ``joints``."""
    borders = [0, *joints, count]
    return [range(first, stop) for first, stop in pairwise(borders)]
