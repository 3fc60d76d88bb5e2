"""Sixteen float32 numbers as one value in numba kernels: explicit vectors, where loops would be left to the compiler.

LLVM cuts them to what the machine has (one register with AVX-512, two with AVX2, four with SSE or NEON). Kernels that
hold many accumulators at once stay in registers this way, and can never fall back to scalar code.
"""

from __future__ import annotations

import operator
from typing import Any, no_type_check

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR, _INTEGERS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)


class LanesType(types.Type):
    """Numba's type of sixteen float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes_type = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_INTEGERS, [0] * LANES))


def _register(operation: Any, instruction: str) -> None:
    """An operator on lanes, or on lanes and one float32."""

    @type_callable(operation)
    def _typer(_: Any) -> Any:
        def typer(left: Any, right: Any) -> Any:
            kinds = {left, right}
            return lanes_type if lanes_type in kinds and kinds <= {lanes_type, types.float32} else None

        return typer

    def lower(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        pairs = zip(signature.args, values, strict=True)
        both = [value if kind == lanes_type else _splat(builder, value) for kind, value in pairs]
        return getattr(builder, instruction)(*both)

    for kinds in ((LanesType, LanesType), (types.float32, LanesType), (LanesType, types.float32)):
        lower_builtin(operation, *kinds)(lower)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _register(_operation, _instruction)


def _pointer(context: Any, builder: Any, kind: Any, value: Any, offset: Any) -> Any:
    """To the vector at `offset` of a flat float32 array, or of the memory at an address."""
    if isinstance(kind, types.Array):
        first = context.make_array(kind)(context, builder, value).data
    else:
        first = builder.inttoptr(value, _FLOAT.as_pointer())
    return builder.bitcast(builder.gep(first, [offset]), _VECTOR.as_pointer())


@intrinsic
@no_type_check
def load(_, source, offset):
    """Lanes from `offset` on, of a flat float32 array or of float32 numbers at an address (int64). Not checked."""

    def generate(context, builder, signature, values):
        kind = signature.args[0]
        return builder.load(_pointer(context, builder, kind, *values), align=4)

    return lanes_type(source, types.int64), generate


@intrinsic
@no_type_check
def store(_, target, offset, value):
    """Write lanes from `offset` on; as `load`."""

    def generate(context, builder, signature, values):
        builder.store(values[2], _pointer(context, builder, signature.args[0], *values[:2]), align=4)
        return context.get_dummy_value()

    return types.void(target, types.int64, lanes_type), generate


@intrinsic
@no_type_check
def fill(_, value):
    """All lanes the same float32."""
    return lanes_type(types.float32), lambda context, builder, signature, values: _splat(builder, values[0])


def _clamp(comparison: str) -> Any:
    """The bound (float32 or lanes) in place of lanes that compare to it like this; NaN compares to nothing, stays."""

    @intrinsic
    @no_type_check
    def clamp(_, value, bound):
        def generate(context, builder, signature, values):
            bounds = values[1] if signature.args[1] == lanes_type else _splat(builder, values[1])
            return builder.select(builder.fcmp_ordered(comparison, values[0], bounds), bounds, values[0])

        return lanes_type(lanes_type, lanes_type if bound == lanes_type else types.float32), generate

    return clamp


at_least = _clamp("<")
at_most = _clamp(">")


def _by_name(name: str) -> Any:
    """A unary intrinsic of LLVM."""

    @intrinsic
    @no_type_check
    def call(_, value):
        def generate(context, builder, signature, values):
            kind, symbol = ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.{name}.v{LANES}f32"
            return builder.call(get_or_insert_function(builder.module, kind, symbol), values)

        return lanes_type(lanes_type), generate

    return call


sqrt = _by_name("sqrt")
floor = _by_name("floor")


@intrinsic
@no_type_check
def _power_of_two(_, exponent):
    """2^k for whole k from -126 to 127."""

    def generate(context, builder, signature, values):
        whole = builder.fptosi(values[0], _INTEGERS)
        biased = builder.add(whole, ir.Constant(_INTEGERS, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(_INTEGERS, [23] * LANES)), _VECTOR)

    return lanes_type(lanes_type), generate


@njit(inline="always", cache=True, error_model="numpy")
@no_type_check
def exp_of_remainder(x, k):
    """e^(x - k ln 2) for remainders within ± ln 2 / 2, of float32 numbers as of lanes."""
    r = x - k * np.float32(0.693359375)
    r = r + k * np.float32(2.12194440e-4)
    p = r * np.float32(1.0 / 5040.0) + np.float32(1.0 / 720.0)
    p = p * r + np.float32(1.0 / 120.0)
    p = p * r + np.float32(1.0 / 24.0)
    p = p * r + np.float32(1.0 / 6.0)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    return p * r + np.float32(1.0)


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
@no_type_check
def exp(x):
    """e^x for |x| ≤ 80 within 2 ulp: 2^k times a polynomial."""
    k = floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    return exp_of_remainder(x, k) * _power_of_two(k)
