"""The CUDA kernels, compiled for the host, against NumPy bit for bit."""

import numpy as np
import pytest
from flopbench_kernels.cuda import libraries
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbench.gpu_selftest import reference
from flopbench.gpu_selftest.own_kernels import STORED
from flopbench.gpu_selftest.stand_in.compiled import compile_source
from flopbench.verify.operands import widen

MARK = 0x5A


@pytest.fixture(scope="module")
def operands():
    return compile_source(libraries.source_text("operands"))


@pytest.mark.parametrize("kind", STORED)
@given(
    rows=st.integers(1, 70), cols=st.integers(1, 20), pad=st.integers(0, 5), seed=st.integers(0, 2**64 - 1),
    grid=st.tuples(st.integers(1, 3), st.integers(1, 4)),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_an_operand_is_the_reference_bit_for_bit_whatever_the_grid(operands, kind, rows, cols, pad, seed, grid):
    dtype = np.dtype(STORED[kind])
    memory = np.full(((rows + pad) * cols) * dtype.itemsize, MARK, np.uint8)
    args = (np.uint64(memory.ctypes.data), np.int64(rows + pad), np.int64(rows), np.int64(cols), np.uint64(seed))
    operands[f"fill_{kind}"].run(grid, (32,), args)
    found = memory.view(dtype).reshape(cols, rows + pad).T
    np.testing.assert_array_equal(found[:rows], reference.operand(kind, seed, rows, cols))
    assert np.all(np.ascontiguousarray(found[rows:]).view(np.uint8) == MARK)


def test_the_reference_halves_are_normal_or_zero_and_never_larger_than_the_float():
    single = np.float32([0.5, -0.5, 0.3, -0.1, 2.0**-14, 2.0**-15, -(2.0**-16), 0.0, 0.49999997])
    half = reference.truncated_half(single).view(np.float16).astype(np.float32)
    assert np.all(np.abs(half) <= np.abs(single))
    np.testing.assert_allclose(half[[0, 1, 2, 3, 4, 8]], single[[0, 1, 2, 3, 4, 8]], rtol=2.0**-10)
    np.testing.assert_array_equal(half[[5, 6, 7]], 0)


def test_the_reference_fp8_numbers_are_those_next_to_the_float_towards_zero():
    single = np.float32([0.5, -0.5, 0.46875, 0.4999, -0.3, 2.0**-6, 0.0155, 2.0**-9, -(2.0**-10), 0.0])
    expected = [0.5, -0.5, 0.46875, 0.46875, -0.28125, 2.0**-6, 7 * 2.0**-9, 2.0**-9, 0.0, 0.0]
    np.testing.assert_array_equal(widen(reference.truncated_e4m3(single)), expected)


def test_operands_of_one_seed_do_not_repeat_those_of_another():
    first, second = (reference.operand("float64", seed, 50, 50) for seed in (7, 8))
    assert np.intersect1d(first, second).size == 0
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


@given(
    rows=st.integers(3, 40),
    cols=st.integers(1, 9),
    count=st.integers(1, 6),
    k=st.integers(0, 2),
    seed=st.integers(0, 999),
)
@settings(max_examples=30, deadline=None)
def test_swaps_are_lapacks(rows, cols, count, k, seed):
    """rows_swap with cuSOLVER's pivots (from 1, relative to row k) is what dlaswp does with LAPACK's."""
    from scipy.linalg import lapack

    count = min(count, rows - k)
    random = np.random.default_rng(seed)
    memory = np.full((rows + 2, cols), 7.5, order="F")  # two rows that nobody may touch
    memory[:rows] = random.random((rows, cols))
    pivots = np.array([random.integers(i, rows - k) for i in range(count)], np.int32)
    full = np.concatenate([np.arange(k, dtype=np.int32), pivots + k])
    expected = memory.copy()
    expected[:rows] = lapack.dlaswp(np.asfortranarray(memory[:rows]), full)
    ones = (pivots + 1).astype(np.int32)
    kernel = compile_source(libraries.source_text("rows"))["rows_swap"]
    args = (
        np.uint64(memory.ctypes.data), np.int64(rows + 2), np.int64(cols), np.uint64(ones.ctypes.data), np.int64(k), np.int64(count),
    )  # fmt: skip
    kernel.run((2,), (4,), args)
    np.testing.assert_array_equal(memory, expected)


def test_an_argument_of_the_wrong_width_is_refused():
    """CUDA reads as many bytes as the parameter has: a 32-bit number for a 64-bit parameter would be followed by garbage."""
    kernel = compile_source(libraries.source_text("rows"))["rows_swap"]
    good = (np.uint64(0), np.int64(1), np.int64(0), np.uint64(0), np.int64(0), np.int64(0))
    kernel.run((1,), (1,), good)
    for wrong in (np.int32(1), 1, np.float64(1), np.uint64(1)):
        with pytest.raises(TypeError, match="lda is i64: int64 wanted"):
            kernel.run((1,), (1,), (good[0], wrong, *good[2:]))
    with pytest.raises(TypeError, match="takes 6 arguments, got 5"):
        kernel.run((1,), (1,), good[:-1])
