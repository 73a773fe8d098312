"""Random products for the tests of the Numba GEMM: operands of any layout, and the reference that they are held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.codegen import Compiled
from flopbench_kernels.gemm_numba.microkernels import MicroKernel
from flopbench_kernels.gemm_numba.multiply import Product
from flopbench_kernels.gemm_operands import STORAGE, bfloat16_bits
from hypothesis import strategies as st

ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11}
#: The error of one rounding below the normal range: half of the smallest number. Only FP16 gets there with our operands.
SUBNORMAL = {"float64": 0.0, "float32": 0.0, "float16": 2.0**-25}


@dataclass(frozen=True)
class Case:
    """One product; `blocks` counts tiles of A, tiles of B and steps of k in a block."""

    row: MicroKernel
    m: int
    n: int
    k: int
    layouts: tuple[str, str, str] = ("rows", "rows", "rows")
    blocks: tuple[int, int, int] = (1, 1, 1)
    threads: int = 2
    beta: int = 0
    seed: int = 7

    def compute(self, code: Compiled | None = None) -> None:
        """Multiply, and fail unless the product is right: to the bit for integers, within the error bound for floating point."""
        row = self.row
        rng = np.random.default_rng(self.seed)
        a = laid_out(random_values(rng, (self.m, self.k), row.precision), self.layouts[0])
        b = laid_out(random_values(rng, (self.k, self.n), row.precision), self.layouts[1])
        result = np.dtype("int32" if row.precision == "int8" else {4: "float32", 8: "float64"}[row.c_bytes])
        start = rng.integers(-99, 99, (self.m, self.n)) * self.beta
        poison = np.iinfo(np.int32).min + 1 if result == np.int32 else np.nan
        c = laid_out((start if self.beta else np.full(start.shape, poison)).astype(result), self.layouts[2])
        i, j, p = self.blocks
        block = Blocking(m_c=i * row.m_r, n_c=j * row.n_r, k_c=p * row.granule)
        product = Product(row, block, a, b, c, self.threads, self.beta, code)
        try:
            product.run()
        finally:
            product.close()
        expect(row, a, b, c, start)


def expect(row: MicroKernel, a: np.ndarray, b: np.ndarray, c: np.ndarray, start: np.ndarray) -> None:
    """c = a b + start; floating point: |error| <= g (|a| |b| + |start|) + underflow, g = 2 (k + 3) u: sums and products are rounded."""
    if row.precision == "int8":
        assert np.array_equal(c, a.astype(np.int64) @ b.astype(np.int64) + start)
        return
    x, y = as_float(a), as_float(b)
    k = a.shape[1]
    factor = 2 * (k + 3) * ROUNDOFF[row.accumulator]
    tiny = 2 * k * SUBNORMAL[row.accumulator]
    assert (np.abs(c - (x @ y + start)) <= factor * (np.abs(x) @ np.abs(y) + np.abs(start)) + tiny).all()


def random_values(rng: np.random.Generator, shape: tuple[int, int], precision: str) -> np.ndarray:
    """Uniform in [-1/2, 1/2), or all 256 values of int8."""
    if precision == "int8":
        return rng.integers(-128, 128, shape, dtype=np.int8)
    if precision == "fp64":
        return rng.random(shape) - 0.5
    values = rng.random(shape, dtype=np.float32) - np.float32(0.5)
    return bfloat16_bits(values) if precision == "bf16" else values.astype(STORAGE[precision])


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """The same matrix with other strides."""
    m, n = values.shape
    if layout == "rows":
        return np.array(values, order="C")
    if layout == "columns":
        return np.array(values, order="F")
    if layout == "padded":
        out = np.zeros((m + 3, n + 5), dtype=values.dtype)[1 : m + 1, 2 : n + 2]
    elif layout == "sparse":
        out = np.zeros((2 * m, 3 * n), dtype=values.dtype)[::2, ::3]
    else:
        out = np.zeros((n, m), dtype=values.dtype)[::-1, ::-1].T
    out[...] = values
    return out


def as_float(values: np.ndarray) -> np.ndarray:
    """float64; bfloat16 comes as uint16 bit patterns."""
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float64)


LAYOUTS = st.sampled_from(["rows", "columns", "padded", "sparse", "reversed"])


def cases(rows: list[MicroKernel], threads: st.SearchStrategy[int]) -> st.SearchStrategy[Case]:
    """Products with any of `rows`."""
    return st.builds(
        Case,
        row=st.sampled_from(rows),
        m=st.integers(1, 70),
        n=st.integers(1, 70),
        k=st.one_of(st.integers(1, 20), st.integers(1, 300)),
        layouts=st.tuples(LAYOUTS, LAYOUTS, LAYOUTS),
        blocks=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 12)),
        threads=threads,
        beta=st.integers(0, 1),
        seed=st.integers(0, 2**32),
    )
