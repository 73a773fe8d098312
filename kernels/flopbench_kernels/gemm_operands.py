"""Operands for GEMM kernels on the host: random, from the seed, aligned; and the poison that C holds before a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench.kernel_api import GemmProblem
from flopbench.precision import PRECISIONS

_ALIGN = 64  # bytes: a cache line, and the longest vector
_STRIP = 1 << 20  # elements generated at once, so that no temporary is as large as a matrix

STORAGE = {name: p.storage for name, p in PRECISIONS.items()}


def aligned_empty(shape: tuple[int, int], dtype: Any) -> np.ndarray:
    """An uninitialised row-major matrix that starts on a cache line."""
    nbytes = shape[0] * shape[1] * np.dtype(dtype).itemsize
    raw = np.empty(nbytes + _ALIGN, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGN
    return raw[start : start + nbytes].view(dtype).reshape(shape)


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """float32 to the nearest bfloat16, ties to even, as uint16. No NaN or infinity among `values`."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def e4m3_bits(values: np.ndarray) -> np.ndarray:
    """float32 below 448 in size to the nearest FP8 (E4M3), ties to even, as uint8."""
    size = np.abs(values)
    step = np.ldexp(
        np.float32(1), np.maximum(np.frexp(size)[1], -5) - 4
    )  # between neighbours of that size; 2^-9 below 2^-6
    rounded = np.rint(size / step) * step
    significand, exponent = np.frexp(rounded)
    normal = (exponent + 6) * 8 + (significand * 16).astype(np.int32) - 8
    bits = np.where(rounded < 2.0**-6, rounded * 512, normal).astype(np.uint8)
    return bits | (np.signbit(values).astype(np.uint8) << np.uint8(7))


def random_matrix(shape: tuple[int, int], precision: str, rng: np.random.Generator) -> np.ndarray:
    """Uniform in [-1/2, 1/2), rounded to the precision; int8 uniform over all its 256 values."""
    matrix = aligned_empty(shape, STORAGE[precision])
    flat = matrix.reshape(-1)
    for start in range(0, flat.size, _STRIP):
        part = flat[start : start + _STRIP]
        if precision == "int8":
            part[:] = rng.integers(-128, 128, part.size, dtype=np.int8)
        elif precision == "fp64":
            part[:] = rng.random(part.size) - 0.5
        else:
            values = rng.random(part.size, dtype=np.float32) - np.float32(0.5)
            part[:] = {"bf16": bfloat16_bits, "fp8": e4m3_bits}.get(precision, np.asarray)(values)
    return matrix


def operands(problem: GemmProblem) -> tuple[np.ndarray, np.ndarray]:
    """A (m x k) and B (k x n) of `problem`, row-major; the same for every backend."""
    rng = np.random.default_rng(problem.seed)
    a = random_matrix((problem.m, problem.k), problem.precision, rng)
    b = random_matrix((problem.k, problem.n), problem.precision, rng)
    return a, b


def initial_c(problem: GemmProblem, dtype: Any) -> np.ndarray | None:
    """C before the run if beta is 1: values of the size of one term of the sums. None if beta is 0."""
    if problem.beta == 0:
        return None
    rng = np.random.default_rng([problem.seed, 1])
    c0 = aligned_empty((problem.m, problem.n), dtype)
    if np.issubdtype(c0.dtype, np.integer):
        c0[:] = rng.integers(-(1 << 14), 1 << 14, c0.shape, dtype=np.int32)
    else:
        c0[:] = rng.random(c0.shape, dtype=np.float32) - np.float32(0.5)
    return c0


def poison(c: np.ndarray, c0: np.ndarray | None) -> None:
    """What C holds before a run: c0 if there is one, else values that no product leaves in place unseen (NaN, or INT_MIN + 1)."""
    if c0 is not None:
        c[:] = c0
    elif np.issubdtype(c.dtype, np.integer):
        c.fill(np.iinfo(c.dtype).min + 1)
    else:
        c.fill(np.nan)
