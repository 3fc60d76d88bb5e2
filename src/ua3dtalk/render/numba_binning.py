"""Numba kernel: front-to-back lists of Gaussians for each tile."""

from __future__ import annotations

from typing import no_type_check

import numpy as np
from numba import njit

from ua3dtalk.render.numba_common import DEPTH, OPTIONS

_BITS, _BUCKETS, _MASK, _PASSES = 11, 2048, np.uint32(2047), 3


@njit(**OPTIONS)
@no_type_check
def _order(g, counts):
    """Visible Gaussians by depth; equal depths keep their order. Radix sort on the bits of positive floats."""
    n = 0
    for i in range(len(counts)):
        n += counts[i] > 0
    ids, depths = np.empty(n, np.int32), np.empty(n, np.float32)
    j = 0
    for i in range(len(counts)):
        if counts[i] > 0:
            ids[j], depths[j] = i, g[i, DEPTH]
            j += 1
    keys = depths.view(np.uint32)
    other_keys, other_ids = np.empty(n, np.uint32), np.empty(n, np.int32)
    for p in range(_PASSES):
        shift = np.uint32(_BITS * p)
        heads = np.zeros(_BUCKETS, np.int32)
        for i in range(n):
            heads[(keys[i] >> shift) & _MASK] += 1
        total = 0
        for b in range(_BUCKETS):
            size = heads[b]
            heads[b] = total
            total += size
        for i in range(n):
            b = (keys[i] >> shift) & _MASK
            at = heads[b]
            heads[b] = at + 1
            other_keys[at], other_ids[at] = keys[i], ids[i]
        keys, other_keys = other_keys, keys
        ids, other_ids = other_ids, ids
    return ids


@njit(**OPTIONS)
@no_type_check
def bin_into_tiles(g, boxes, counts, tiles_x, tiles_y):
    """Counting sort of the depth-ordered Gaussians into tiles.

    Args:
        g, boxes, counts: From ``project``.
        tiles_x, tiles_y: Number of tiles.

    Returns:
        ``starts [tiles + 1]`` and ``ids``: the list of each tile; ``firsts [N + 1]`` and ``slots``: for each Gaussian
        where its (Gaussian, tile) pairs stand in ``ids``, for the gather of the backward pass.
    """
    order = _order(g, counts)
    n, tiles = len(counts), tiles_x * tiles_y
    starts, firsts = np.zeros(tiles + 1, np.int32), np.zeros(n + 1, np.int32)
    for i in range(n):
        firsts[i + 1] = firsts[i] + counts[i]
        if counts[i] > 0:
            for y in range(boxes[i, 2], boxes[i, 3]):
                for x in range(boxes[i, 0], boxes[i, 1]):
                    starts[y * tiles_x + x + 1] += 1
    for t in range(tiles):
        starts[t + 1] += starts[t]
    ids, slots = np.empty(firsts[n], np.int32), np.empty(firsts[n], np.int32)
    heads = starts[:-1].copy()
    for j in range(len(order)):
        i = order[j]
        slot = firsts[i]
        for y in range(boxes[i, 2], boxes[i, 3]):
            for x in range(boxes[i, 0], boxes[i, 1]):
                t = y * tiles_x + x
                at = heads[t]
                heads[t] = at + 1
                ids[at] = i
                slots[slot] = at
                slot += 1
    return starts, ids, firsts, slots
