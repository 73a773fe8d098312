"""One step of a chain for each kind of arithmetic, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from flopbench_kernels.ceiling_llvm.text import Step, Vector

#: Multipliers of alternate steps and the addend of floating-point chains. |a b| < 1, so a chain settles into two alternating values with
#: full significands, never grows, never becomes subnormal, and flips most bits at every step, as operands of a GEMM do.
FLOAT_CONSTANTS = (-0.7853981, 0.8346268, 1.3708079)

#: Operands of dot products as patterns of 32 bits: four int8; or two bfloat16, (0.78, -0.83) and (0.83, 0.78), which nearly cancel.
#: The third is two 16-bit ones.
INT8_CONSTANTS = (0x5A37C32B, 0x3D91E54F, 0x00010001)
BF16_CONSTANTS = (0x3F48BF54, 0x3F553F47, 0)


@dataclass(frozen=True)
class Arithmetic:
    """What a chain does: its value's type, the constants' types and values, the step, LLVM declarations, operations of one step."""

    chain: Vector
    constants: dict[str, Vector]
    values: tuple[float, float, float]
    step: Step
    operations: int  # of one step; times vscale if the chain is scalable
    declarations: list[str] = field(default_factory=list)
    uneven: bool = False  # the constants are no copies of one element


def fused(chain: Vector) -> Arithmetic:
    """x = x a + b in one instruction: two FLOP an element."""
    name = f"@llvm.fma.{chain.suffix}"

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        return [f"{new} = call {chain} {name}({chain} {old}, {chain} {c['ab'[j % 2]]}, {chain} {c['c']})"]

    declared = [f"declare {chain} {name}({chain}, {chain}, {chain})"]
    return Arithmetic(chain, dict.fromkeys("abc", chain), FLOAT_CONSTANTS, step, 2 * chain.count, declared)


def accumulated(chain: Vector) -> Arithmetic:
    """x = x + a b, then x = x - a b: two FLOP an element.

    For NEON and VSX, which overwrite the addend, as a GEMM does its accumulator: keeping the addend would take a copy for each step.
    """
    name = f"@llvm.fma.{chain.suffix}"

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        call = f"call {chain} {name}({chain} {c['a']}, {chain} "
        if j % 2 == 0:
            return [f"{new} = {call}{c['b']}, {chain} {old})"]
        return [f"{new}.n = fneg {chain} {c['b']}", f"{new} = {call}{new}.n, {chain} {old})"]

    declared = [f"declare {chain} {name}({chain}, {chain}, {chain})"]
    return Arithmetic(chain, dict.fromkeys("ab", chain), FLOAT_CONSTANTS, step, 2 * chain.count, declared, uneven=True)


def separate(chain: Vector) -> Arithmetic:
    """x = x a + b in two instructions, unless the target has one for both: two FLOP an element."""

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        return [
            f"{new}.m = fmul contract {chain} {old}, {c['ab'[j % 2]]}",
            f"{new} = fadd contract {chain} {new}.m, {c['c']}",
        ]

    return Arithmetic(chain, dict.fromkeys("abc", chain), FLOAT_CONSTANTS, step, 2 * chain.count)


def dot(chain: Vector, operand: Vector, intrinsic: str, terms: int, float_operands: bool = False) -> Arithmetic:
    """x += dot product of `terms` operand pairs into each element: 2 x terms operations an element.

    operand  the type that the intrinsic wants; it is a reinterpretation of 32-bit lanes, of which there are as many as in the chain
    """
    lanes = Vector(chain.count, "i32", chain.scalable)

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        left, right = (c["a"], c["b"]) if j % 2 else (c["b"], c["a"])
        if operand == lanes:
            return [f"{new} = call {chain} @{intrinsic}({chain} {old}, {operand} {left}, {operand} {right})"]
        return [
            f"{new}.l = bitcast {lanes} {left} to {operand}",
            f"{new}.r = bitcast {lanes} {right} to {operand}",
            f"{new} = call {chain} @{intrinsic}({chain} {old}, {operand} {new}.l, {operand} {new}.r)",
        ]

    declared = [f"declare {chain} @{intrinsic}({chain}, {operand}, {operand})"]
    values = BF16_CONSTANTS if float_operands else INT8_CONSTANTS
    return Arithmetic(chain, dict.fromkeys("ab", lanes), values, step, 2 * terms * chain.count, declared)


def pairs(chain: Vector, intrinsic: str) -> Arithmetic:
    """x += the sums of neighbouring 16-bit products, int8 operands being widened: 2 products and 2 sums an element.

    One factor is the chain itself, so that the product cannot be taken out of the loop.
    """
    halves = Vector(2 * chain.count, "i16")

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        return [
            f"{new}.l = bitcast {chain} {old} to {halves}",
            f"{new}.r = bitcast {chain} {c['ab'[j % 2]]} to {halves}",
            f"{new}.p = call {chain} @{intrinsic}({halves} {new}.l, {halves} {new}.r)",
            f"{new} = add {chain} {old}, {new}.p",
        ]

    declared = [f"declare {chain} @{intrinsic}({halves}, {halves})"]
    return Arithmetic(chain, dict.fromkeys("ab", chain), INT8_CONSTANTS, step, 4 * chain.count, declared)


def quads(chain: Vector, multiply: str, widen: str) -> Arithmetic:
    """x += the sums of four unsigned-by-signed int8 products, by way of 16-bit sums: 4 products and 4 sums an element.

    The 16-bit sums saturate, so a GEMM can use this only for operands that it knows to be small; as a rate it is reached all the same.
    """
    bytes_, halves = Vector(4 * chain.count, "i8"), Vector(2 * chain.count, "i16")

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        return [
            f"{new}.l = bitcast {chain} {old} to {bytes_}",
            f"{new}.r = bitcast {chain} {c['ab'[j % 2]]} to {bytes_}",
            f"{new}.p = call {halves} @{multiply}({bytes_} {new}.l, {bytes_} {new}.r)",
            f"{new}.o = bitcast {chain} {c['c']} to {halves}",
            f"{new}.q = call {chain} @{widen}({halves} {new}.p, {halves} {new}.o)",
            f"{new} = add {chain} {old}, {new}.q",
        ]

    declared = [
        f"declare {halves} @{multiply}({bytes_}, {bytes_})",
        f"declare {chain} @{widen}({halves}, {halves})",
    ]
    return Arithmetic(chain, dict.fromkeys("abc", chain), INT8_CONSTANTS, step, 8 * chain.count, declared)


def integer(chain: Vector) -> Arithmetic:
    """x = x a + c in 32-bit integers: two OP an element."""

    def step(old: str, new: str, c: dict[str, str], j: int) -> list[str]:
        return [f"{new}.m = mul {chain} {old}, {c['ab'[j % 2]]}", f"{new} = add {chain} {new}.m, {c['c']}"]

    return Arithmetic(chain, dict.fromkeys("abc", chain), INT8_CONSTANTS, step, 2 * chain.count)
