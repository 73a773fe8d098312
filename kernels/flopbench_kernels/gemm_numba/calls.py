"""What Numba has no words for: calling machine code by its address, and counters that threads share."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def call8(typing_context, function, a, b, c, d, e, f, g, h):
    """Call the machine code at address `function` with eight integers."""
    return types.void(*[types.int64] * 9), _call


@intrinsic
def call7(typing_context, function, a, b, c, d, e, f, g):
    """Call the machine code at address `function` with seven integers."""
    return types.void(*[types.int64] * 8), _call


@intrinsic
def call6(typing_context, function, a, b, c, d, e, f):
    """Call the machine code at address `function` with six integers."""
    return types.void(*[types.int64] * 7), _call


@intrinsic
def call3(typing_context, function, a, b, c):
    """Call the machine code at address `function` with three integers."""
    return types.void(*[types.int64] * 4), _call


@intrinsic
def call1(typing_context, function, a):
    """Call the machine code at address `function` with one integer."""
    return types.void(types.int64, types.int64), _call


@intrinsic
def call0(typing_context, function):
    """Call the machine code at address `function`."""
    return types.void(types.int64), _call


def _call(context, builder, signature, arguments):
    i64 = ir.IntType(64)
    kind = ir.FunctionType(ir.VoidType(), [i64] * (len(arguments) - 1))
    builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
    return context.get_dummy_value()


@intrinsic
def fetch_add(typing_context, address):
    """Add one to the integer at `address` for all threads, and return what it was."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(types.int64), code


@intrinsic
def fetch(typing_context, address):
    """The integer at `address` as other threads left it."""

    def code(context, builder, signature, arguments):
        i64 = ir.IntType(64)
        return builder.load_atomic(builder.inttoptr(arguments[0], i64.as_pointer()), "acquire", 8, typ=i64)

    return types.int64(types.int64), code
