"""A small vocabulary over llvmlite's IR builder: addresses as integers, vector loads and stores, counted loops, intrinsics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir

I1 = ir.IntType(1)
I8 = ir.IntType(8)
I16 = ir.IntType(16)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
HALF = ir.HalfType()
FLOAT = ir.FloatType()
DOUBLE = ir.DoubleType()
VOID = ir.VoidType()

_BYTES = {I8: 1, I16: 2, I32: 4, I64: 8, HALF: 2, FLOAT: 4, DOUBLE: 8}
_SUFFIX = {I8: "i8", I16: "i16", I32: "i32", I64: "i64", HALF: "f16", FLOAT: "f32", DOUBLE: "f64"}


def size_of(element: ir.Type) -> int:
    """Bytes of one element."""
    return _BYTES[element]


def suffix(vector: ir.VectorType) -> str:
    """How LLVM spells a vector type in the name of an overloaded intrinsic: v4f64."""
    return f"v{vector.count}{_SUFFIX[vector.element]}"


def const(value: int, kind: ir.Type = I64) -> ir.Constant:
    return ir.Constant(kind, value)


def zero(kind: ir.Type) -> ir.Constant:
    """Zero of a scalar or vector type."""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    value = 0 if isinstance(element, ir.IntType) else 0.0
    return ir.Constant(kind, [value] * kind.count if kind is not element else value)


def function(module: ir.Module, name: str, arguments: Sequence[str]) -> tuple[ir.IRBuilder, list[ir.Value]]:
    """A new `void name(i64 ...)` in `module`, a builder at its start, and its arguments."""
    made = ir.Function(module, ir.FunctionType(VOID, [I64] * len(arguments)), name=name)
    for argument, label in zip(made.args, arguments, strict=True):
        argument.name = label
    return ir.IRBuilder(made.append_basic_block("entry")), list(made.args)


def intrinsic(b: ir.IRBuilder, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
    """The LLVM intrinsic `name`, declared once a module."""
    return b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(result, arguments), name=name)


def at(b: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    """address + offset, where offset is known now."""
    return b.add(address, const(offset)) if offset else address


def load(b: ir.IRBuilder, address: ir.Value, kind: ir.Type, align: int) -> ir.Value:
    return b.load(b.inttoptr(address, kind.as_pointer()), align=align, typ=kind)


def store(b: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int) -> None:
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=align)


def splat(b: ir.IRBuilder, scalar: ir.Value, count: int) -> ir.Value:
    """A vector of `count` times `scalar`."""
    vector = ir.VectorType(scalar.type, count)
    undefined = ir.Constant(vector, ir.Undefined)
    first = b.insert_element(undefined, scalar, const(0, I32))
    return b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, count), [0] * count))


def shuffle(b: ir.IRBuilder, left: ir.Value, right: ir.Value, lanes: Sequence[int]) -> ir.Value:
    """The chosen lanes of left (0 ...) and right (from its length on)."""
    return b.shuffle_vector(left, right, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))


def concat(b: ir.IRBuilder, parts: Sequence[ir.Value]) -> ir.Value:
    """Vectors of one length, one after the other; a power of two of them."""
    level = list(parts)
    while len(level) > 1:
        count = level[0].type.count
        level = [shuffle(b, left, right, range(2 * count)) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def multiply_add(b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x * y + z, with one rounding where the processor has an FMA, else with two: never a call into a library."""
    return b.call(intrinsic(b, f"llvm.fmuladd.{suffix(x.type)}", x.type, [x.type] * 3), [x, y, z])


def prefetch(b: ir.IRBuilder, address: ir.Value, write: bool) -> None:
    """Ask for the cache line at `address`."""
    pointer = b.inttoptr(address, I8.as_pointer())
    name = "llvm.prefetch.p0"
    fn = intrinsic(b, name, VOID, [pointer.type, I32, I32, I32])
    b.call(fn, [pointer, const(int(write), I32), const(3, I32), const(1, I32)])


@contextmanager
def loop(b: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int, name: str) -> Iterator[ir.Value]:
    """for i in range(start, stop, step): the body is what is emitted inside; yields i."""
    before = b.block
    head, body, done = (b.append_basic_block(f"{name}.{part}") for part in ("head", "body", "done"))
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(I64, name=name)
    i.add_incoming(start, before)
    b.cbranch(b.icmp_signed("<", i, stop), body, done)
    b.position_at_end(body)
    yield i
    i.add_incoming(b.add(i, const(step)), b.block)
    b.branch(head)
    b.position_at_end(done)


def round_up(b: ir.IRBuilder, value: ir.Value, unit: int) -> ir.Value:
    """The next multiple of `unit`, a power of two."""
    return b.and_(b.add(value, const(unit - 1)), const(-unit))
