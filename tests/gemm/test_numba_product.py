"""The Numba GEMM multiplies matrices of any shape and layout, with every micro-kernel that this processor can execute."""

from __future__ import annotations

import numpy as np
import pytest
from flopbench_kernels.gemm_numba import isa, microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.multiply import Product
from flopbench_kernels.gemm_operands import STORAGE, bfloat16_bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flopbench.machine.detect import detect

MACHINE = detect()


def executable(row: microkernels.MicroKernel) -> bool:
    """Plain vector code runs anywhere: LLVM cuts long vectors into those that the processor has."""
    return row.portable or row.isa in isa.supported(MACHINE)


ROWS = [row for row in microkernels.TABLE if executable(row)]


def random_values(rng: np.random.Generator, shape: tuple[int, int], precision: str) -> np.ndarray:
    if precision == "int8":
        return rng.integers(-128, 128, shape, dtype=np.int8)
    values = (rng.random(shape, dtype=np.float32) - np.float32(0.5)).astype(np.float32)
    return bfloat16_bits(values) if precision == "bf16" else values.astype(STORAGE[precision])


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """The same matrix with other strides."""
    m, n = values.shape
    if layout == "rows":
        return np.array(values, order="C")
    if layout == "columns":
        return np.array(values, order="F")
    if layout == "padded":
        wide = np.zeros((m + 3, n + 5), dtype=values.dtype)
        out = wide[1 : m + 1, 2 : n + 2]
    elif layout == "sparse":
        out = np.zeros((2 * m, 3 * n), dtype=values.dtype)[::2, ::3]
    else:
        out = np.zeros((n, m), dtype=values.dtype)[::-1, ::-1].T
    out[...] = values
    return out


def as_float(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float64)


LAYOUTS = st.sampled_from(["rows", "columns", "padded", "sparse", "reversed"])


@st.composite
def products(draw: st.DrawFn) -> dict:
    return {
        "row": draw(st.sampled_from(ROWS)),
        "m": draw(st.integers(1, 70)),
        "n": draw(st.integers(1, 70)),
        "k": draw(st.one_of(st.integers(1, 20), st.integers(1, 300))),
        "layouts": draw(st.tuples(LAYOUTS, LAYOUTS, LAYOUTS)),
        "blocks": draw(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 12))),
        "threads": draw(st.integers(1, 3)),
        "beta": draw(st.integers(0, 1)),
        "seed": draw(st.integers(0, 2**32)),
    }


def compute(case: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    row, m, n, k = case["row"], case["m"], case["n"], case["k"]
    rng = np.random.default_rng(case["seed"])
    a = laid_out(random_values(rng, (m, k), row.precision), case["layouts"][0])
    b = laid_out(random_values(rng, (k, n), row.precision), case["layouts"][1])
    dtype = {2: np.float16, 4: np.float32, 8: np.float64}[row.c_bytes] if row.precision != "int8" else np.int32
    if case["beta"]:
        c0 = rng.integers(-99, 99, (m, n)).astype(dtype)
    else:
        c0 = np.full((m, n), np.iinfo(dtype).min + 1 if dtype == np.int32 else np.nan, dtype=dtype)
    c = laid_out(c0, case["layouts"][2])
    i, j, p = case["blocks"]
    block = Blocking(m_c=i * row.m_r, n_c=j * row.n_r, k_c=p * row.granule)
    product = Product(row, block, a, b, c, threads=case["threads"], beta=case["beta"])
    try:
        product.run()
    finally:
        product.close()
    return a, b, c, c0


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(products())
def test_any_shape_and_layout_gives_the_product(case):
    """Integers exactly; floating point within the bound k u |A| |B| of a sum of k terms, where a sum of products is rounded k times."""
    row, k = case["row"], case["k"]
    a, b, c, c0 = compute(case)
    if row.precision == "int8":
        expected = a.astype(np.int64) @ b.astype(np.int64) + case["beta"] * c0
        assert np.array_equal(c, expected)
        return
    x, y = as_float(a), as_float(b)
    start = as_float(c0) if case["beta"] else np.zeros(c.shape)
    unit = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11}[row.accumulator]
    bound = (k + 2) * unit * (np.abs(x) @ np.abs(y) + np.abs(start)) + 1e-300
    assert (np.abs(c - (x @ y + start)) <= 2 * bound).all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_every_micro_kernel_multiplies_whole_tiles_and_edges(row):
    case = {
        "row": row, "m": 2 * row.m_r + 1, "n": 2 * row.n_r + 1, "k": 3 * row.granule + 1,
        "layouts": ("rows", "rows", "rows"), "blocks": (1, 1, 1), "threads": 2, "beta": 0, "seed": 7,
    }  # fmt: skip
    a, b, c, _ = compute(case)
    expected = as_float(a) @ as_float(b)
    assert np.allclose(
        c, expected, rtol=0, atol=0 if row.precision == "int8" else 0.05 if row.accumulator == "float16" else 1e-4
    )


def test_what_lies_around_c_is_left_alone():
    row = microkernels.least("fp64", "float64")
    frame = np.full((20, 30), 7.0)
    c = frame[2:-3, 4:-5]
    a, b = np.ones((15, 4)), np.ones((4, 21))
    product = Product(row, Blocking(row.m_r, row.n_r, 4), a, b, c)
    product.run()
    product.close()
    assert (c == 4.0).all()
    c[...] = 7.0
    assert (frame == 7.0).all()


def test_shapes_that_do_not_fit_are_refused():
    row = microkernels.least("fp64", "float64")
    with pytest.raises(ValueError, match="shapes do not fit"):
        Product(row, Blocking(row.m_r, row.n_r, 4), np.ones((3, 4)), np.ones((5, 6)), np.ones((3, 6)))
