"""Explicit SIMD for numba: a value of eight float32 lanes.

Plain loops over eight pixels silently fall back to scalar code when LLVM's cost model changes its mind. These types
lower to ``<8 x float>``, which LLVM maps to one AVX register or to two SSE/NEON registers: nothing is left to chance.

``no_type_check`` keeps run-time type checkers from wrapping functions that numba must see bare.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, no_type_check

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 8


class _FloatsType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x8")


class _MaskType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="bool8")


_FLOATS, _MASK = _FloatsType(), _MaskType()
_SCALAR = types.float32
_LLVM_FLOAT, _LLVM_INT = ir.FloatType(), ir.IntType(32)
_LLVM_FLOATS = ir.VectorType(_LLVM_FLOAT, LANES)
_LLVM_INTS = ir.VectorType(_LLVM_INT, LANES)
_LLVM_MASK = ir.VectorType(ir.IntType(1), LANES)
_FLAGS = ("contract", "nsz", "arcp")


@register_model(_FloatsType)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _LLVM_FLOATS)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _LLVM_MASK)


def _broadcast(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(_LLVM_FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, scalar, _LLVM_INT(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_LLVM_INTS, [0] * LANES))


def _vectors(context: Any, builder: Any, values: Any, numba_types: Any) -> list[Any]:
    """Operands as vectors; scalars are broadcast."""
    return [
        value if kind == _FLOATS else _broadcast(builder, context.cast(builder, value, kind, _SCALAR))
        for value, kind in zip(values, numba_types, strict=True)
    ]


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    index = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(array.data, [index]), _LLVM_FLOATS.as_pointer())


@intrinsic
@no_type_check
def splat(typingctx: Any, x: Any) -> Any:
    """Eight times the scalar ``x``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _broadcast(builder, context.cast(builder, arguments[0], signature.args[0], _SCALAR))

    return _FLOATS(x), codegen


@intrinsic
@no_type_check
def lanes(typingctx: Any) -> Any:
    """0, 1, … 7."""
    return _FLOATS(), lambda *_: ir.Constant(_LLVM_FLOATS, [float(i) for i in range(LANES)])


@intrinsic
@no_type_check
def vload(typingctx: Any, array: Any, i: Any) -> Any:
    """``array[i : i + 8]`` of a flat float32 array; bounds are not checked."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = builder.load(_pointer(context, builder, signature, arguments))
        loaded.align = 4
        return loaded

    return _FLOATS(array, i), codegen


@intrinsic
@no_type_check
def vstore(typingctx: Any, array: Any, i: Any, v: Any) -> Any:
    """``array[i : i + 8] = v``; bounds are not checked."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        store = builder.store(arguments[2], _pointer(context, builder, signature, arguments))
        store.align = 4
        return context.get_dummy_value()

    return types.void(array, i, v), codegen


@no_type_check
def _arithmetic(instruction: str) -> Any:
    @intrinsic
    def operate(typingctx: Any, x: Any, y: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*_vectors(context, builder, arguments, signature.args), flags=_FLAGS)

        return _FLOATS(x, y), codegen

    return operate


@no_type_check
def _comparison(predicate: str) -> Any:
    @intrinsic
    def operate(typingctx: Any, x: Any, y: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.fcmp_ordered(predicate, *_vectors(context, builder, arguments, signature.args))

        return _MASK(x, y), codegen

    return operate


@no_type_check
def _register(python_operator: Callable[[Any, Any], Any], operate: Any) -> None:
    @overload(python_operator)
    def typed(x, y):
        if _FLOATS in (x, y):
            return lambda x, y: operate(x, y)
        return None


for _operators, _instruction in (
    ((operator.add, operator.iadd), "fadd"),
    ((operator.sub, operator.isub), "fsub"),
    ((operator.mul, operator.imul), "fmul"),
    ((operator.truediv,), "fdiv"),
):
    for _operator in _operators:
        _register(_operator, _arithmetic(_instruction))
for _operator, _predicate in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register(_operator, _comparison(_predicate))


@intrinsic
@no_type_check
def _both(typingctx: Any, x: Any, y: Any) -> Any:
    return _MASK(x, y), lambda _context, builder, _signature, arguments: builder.and_(*arguments)


@overload(operator.and_)
@no_type_check
def _mask_and(x, y):
    if x == _MASK and y == _MASK:
        return lambda x, y: _both(x, y)
    return None


@intrinsic
@no_type_check
def where(typingctx: Any, mask: Any, x: Any, y: Any) -> Any:
    """``x`` in the lanes of the mask, ``y`` in the others."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(arguments[0], *_vectors(context, builder, arguments[1:], signature.args[1:]))

    return _FLOATS(mask, x, y), codegen


@intrinsic
@no_type_check
def horizontal_sum(typingctx: Any, v: Any) -> Any:
    """Sum of the lanes, always in the same order."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        reduction = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_LLVM_FLOAT, [_LLVM_FLOAT, _LLVM_FLOATS]),
            f"llvm.vector.reduce.fadd.v{LANES}f32",
        )
        start = ir.Constant(_LLVM_FLOAT, 0.0)
        return builder.call(reduction, [start, arguments[0]], fastmath=("reassoc", "nsz"))

    return _SCALAR(v), codegen


@intrinsic
@no_type_check
def any_lane(typingctx: Any, mask: Any) -> Any:
    """Whether the mask holds in any lane."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(mask), codegen


@intrinsic
@no_type_check
def negative_abs(typingctx: Any, v: Any) -> Any:
    """−|v|."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sign = ir.Constant(_LLVM_INTS, [-(1 << 31)] * LANES)
        return builder.bitcast(builder.or_(builder.bitcast(arguments[0], _LLVM_INTS), sign), _LLVM_FLOATS)

    return _FLOATS(v), codegen
