"""Products in every precision, computed without flopbench, for the tests of the check."""

from __future__ import annotations

import numpy as np

from flopbench.kernel_api import GemmOutcome, GemmProblem

PRECISIONS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8")


def to_bf16(values: np.ndarray) -> np.ndarray:
    """uint16 bit patterns of `values`, cut off."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def from_bf16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_tf32(values: np.ndarray) -> np.ndarray:
    """FP32 with the last 13 bits cut off."""
    return (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def to_e4m3(values: np.ndarray) -> np.ndarray:
    """uint8 bit patterns of `values` (of size 1 at most), cut off: an FP16 number whose exponent is 8 less has them in its upper half."""
    half = (values / 256).astype(np.float16).view(np.uint16)
    return (half >> 8 & 0x80 | half >> 7 & 0x7F).astype(np.uint8)


def from_e4m3(bits: np.ndarray) -> np.ndarray:
    wide = bits.astype(np.uint16)
    return ((wide & 0x80) << 8 | (wide & 0x7F) << 7).view(np.float16).astype(np.float32) * 256


def operands(precision: str, m: int, n: int, k: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if precision == "int8":
        return tuple(random.integers(-128, 128, shape, dtype=np.int8) for shape in ((m, k), (k, n)))
    values = [random.uniform(-1, 1, shape) for shape in ((m, k), (k, n))]
    convert = {"bf16": to_bf16, "fp8": to_e4m3, "fp16": lambda v: v.astype(np.float16), "fp64": lambda v: v}
    return tuple(convert.get(precision, lambda v: v.astype(np.float32))(v) for v in values)


def multiply(precision: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A correct product of the usual kind: sums in the precision's usual accumulator."""
    if precision == "int8":
        return a.astype(np.int32) @ b.astype(np.int32)
    if precision == "bf16":
        return from_bf16(a) @ from_bf16(b)
    if precision == "fp8":
        return from_e4m3(a) @ from_e4m3(b)
    if precision == "tf32":
        return to_tf32(a) @ to_tf32(b)
    if precision == "fp16":
        return a.astype(np.float32) @ b.astype(np.float32)
    return a @ b


def product(precision: str, m: int = 96, n: int = 80, k: int = 112, seed: int = 1) -> tuple[GemmProblem, GemmOutcome]:
    """A problem and its correct outcome."""
    a, b = operands(precision, m, n, k, np.random.default_rng(seed))
    accumulator = {"fp64": "float64", "int8": "int32"}.get(precision, "float32")
    return GemmProblem(m, n, k, precision), GemmOutcome(a, b, multiply(precision, a, b), accumulator)
