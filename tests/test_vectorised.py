"""The CPU kernels still work on many numbers at once.

LLVM may fall back to scalar code without a word, and results stay right while everything takes several times longer.
So the arithmetic in the optimised code is counted, lanes by lanes; nothing is timed.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numba import float32, int64, njit, types, void

from ua3dtalk.avatar import fusion_full_kernels, fusion_full_lanes, fusion_kernels
from ua3dtalk.render import numba_backward, numba_forward

VECTOR, CUBE, PLANE = float32[::1], float32[:, :, ::1], float32[:, ::1]
DRAW = (VECTOR, PLANE, int64, PLANE, int64, int64, int64)
MOMENTS = (VECTOR, VECTOR, PLANE, int64, PLANE, int64, int64, int64, VECTOR)
SHAPE = types.UniTuple(int64, 4)
PAIR, ADDRESSES = types.UniTuple(VECTOR, 2), types.UniTuple(int64, 2)
ARITHMETIC = re.compile(r"= f(?:mul|add|sub|div|neg)(?: [a-z]+)* (?:<(\d+) x float>|float) ")
LIBRARY = re.compile(r"call [^@\n]*(?:float|double) @\S*(?:exp|log|pow|tanh)\S*\(")
"""A transcendental function of one number: its loop cannot be on vectors."""
KEPT = ("fastmath", "boundscheck", "error_model", "nogil")


def compiled(kernel: Any, signature: tuple[Any, ...]) -> str:
    """The kernel's optimised code. It is compiled anew, without threads: one from the cache has machine code only."""
    options = {name: value for name, value in kernel.targetoptions.items() if name in KEPT}
    fresh = njit(void(*signature), **options)(kernel.py_func)
    (code,) = fresh.inspect_llvm().values()
    return code


def lanes_of(code: str) -> Counter[int]:
    """How many arithmetic instructions on float32 there are, by lanes."""
    return Counter(int(lanes or 1) for lanes in ARITHMETIC.findall(code))


@pytest.mark.parametrize(
    ("kernel", "signature", "share"),
    [
        (numba_forward._draw, DRAW, 0.6),
        (numba_backward._moments, MOMENTS, 0.6),
        (fusion_kernels.accumulate, (CUBE, PLANE, PLANE, PLANE, PLANE), 0.4),  # scalar twins for what is left over
        (fusion_kernels.accumulate_backward, (CUBE, PLANE, PLANE, PLANE, PLANE, PLANE, CUBE), 0.4),
        (fusion_full_kernels.row_of_precision, (int64, SHAPE, int64, VECTOR), 0.9),
        (fusion_full_kernels.row_of_gradient, (ADDRESSES, SHAPE, int64, PAIR, PAIR), 0.9),
        (fusion_full_lanes.tile_of_system, (VECTOR, VECTOR, int64, int64, int64, VECTOR), 1.0),
        (fusion_full_lanes.factorise, (int64, VECTOR), 1.0),
        (fusion_full_lanes.fuse_group, (SHAPE, VECTOR, VECTOR, VECTOR, PAIR, VECTOR, VECTOR), 0.9),
        (fusion_full_lanes.pull_group, (SHAPE, VECTOR, VECTOR, VECTOR, PAIR, VECTOR, PAIR), 0.9),
    ],
    ids=[
        *("draw", "draw backward", "fusion", "fusion backward", "precision", "gradient"),
        *("tile", "factor", "full fusion", "full fusion backward"),
    ],
)
def test_most_arithmetic_is_on_vectors(kernel: Any, signature: tuple[Any, ...], share: float) -> None:
    code = compiled(kernel, signature)
    assert not LIBRARY.findall(code)
    found = lanes_of(code)
    wide = sum(count for lanes, count in found.items() if lanes >= 4)
    assert wide >= share * found.total(), found


def test_scalar_code_would_be_noticed() -> None:
    @njit
    def recurrence(values):  # every result needs the one before: no vectors here
        for i in range(1, len(values)):
            values[i] += np.exp(values[i - 1]) * values[i]

    code = compiled(recurrence, (VECTOR,))
    found = lanes_of(code)
    assert found[1] and found[1] == found.total()
    assert LIBRARY.findall(code)
