"""The Numba GEMM multiplies matrices of any shape and layout, with every micro-kernel that this processor can execute."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from flopbench_kernels.gemm_numba import isa, microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.multiply import Product
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layout_cases import Case, cases, expect, laid_out

from flopbench.machine.detect import detect

SUPPORTED = isa.supported(detect())
#: Plain vector code runs anywhere: LLVM cuts long vectors into those that the processor has.
ROWS = [row for row in microkernels.TABLE if row.portable or row.isa in SUPPORTED]


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(ROWS, threads=st.integers(1, 3)))
def test_any_shape_and_layout_gives_the_product(case):
    case.compute()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_every_micro_kernel_multiplies_whole_tiles_and_edges(row):
    Case(row, m=2 * row.m_r + 1, n=2 * row.n_r + 1, k=3 * row.granule + 1).compute()


@pytest.mark.parametrize("row", [row for row in ROWS if row.precision == "int8"], ids=lambda row: row.label)
@pytest.mark.parametrize(("x", "y"), [(-128, -128), (-128, 127), (127, 127), (-128, 0)])
def test_extreme_int8_values_do_not_saturate(row, x, y):
    a, b = np.full((row.m_r, 1000), x, dtype=np.int8), np.full((1000, row.n_r), y, dtype=np.int8)
    c = np.empty((row.m_r, row.n_r), dtype=np.int32)
    product = Product(row, Blocking(row.m_r, row.n_r, 64 * row.granule), a, b, c)
    product.run()
    product.close()
    assert (c == 1000 * x * y).all()


@pytest.mark.parametrize("row", [row for row in ROWS if row.precision == "fp16"], ids=lambda row: row.label)
def test_every_fp16_value_keeps_its_value_when_packed(row):
    """Subnormals, infinities and NaN included: one column of all 65,536 patterns times one."""
    patterns = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 1)
    c = np.empty((1 << 16, 1), dtype=np.float32)
    product = Product(row, Blocking(40 * row.m_r, row.n_r, row.granule), patterns, np.ones((1, 1), dtype=np.float16), c)
    product.run()
    product.close()
    assert np.array_equal(c, patterns.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_many_small_jobs_on_more_threads_than_cores_stay_in_order(threads):
    """Every run of one Product, with a hundred blocks of k that each visit every part of C, gives the same exact integers."""
    row = microkernels.least("int8", "int32")
    rng = np.random.default_rng(3)
    a = rng.integers(-128, 128, (40, 200), dtype=np.int8)
    b = rng.integers(-128, 128, (200, 50), dtype=np.int8)
    c = np.empty((40, 50), dtype=np.int32)
    product = Product(row, Blocking(row.m_r, row.n_r, row.granule), a, b, c, threads)
    for _ in range(20):
        c.fill(-1)
        product.run()
        assert np.array_equal(c, a.astype(np.int64) @ b.astype(np.int64))
    product.close()


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gemm_")]


@pytest.mark.parametrize("ending", ["closed", "forgotten"])
def test_the_threads_end_with_their_product(ending):
    gc.collect()  # products of other tests
    row = microkernels.least("fp64", "float64")
    product = Product(row, Blocking(row.m_r, row.n_r, 4), np.ones((9, 4)), np.ones((4, 9)), np.empty((9, 9)), threads=3)
    product.run()
    assert running() == ["gemm_1", "gemm_2"]
    if ending == "closed":
        product.close()
    del product
    gc.collect()
    assert running() == []


def test_a_process_ends_though_its_product_was_not_closed():
    code = """if True:
        import numpy as np
        from flopbench_kernels.gemm_numba import microkernels, multiply
        row = microkernels.least("fp64", "float64")
        a = np.ones((9, 9))
        product = multiply.Product(row, multiply.Blocking(row.m_r, row.n_r, 4), a, a, np.empty((9, 9)), threads=3)
        product.run()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_signals_do_not_make_sleeping_threads_work():
    """Each signal ends a wait in the kernel early; a thread that then began would count itself as finished."""
    row = microkernels.least("fp64", "float64")
    a, c = np.ones((9, 9)), np.empty((9, 9))
    product = Product(row, Blocking(row.m_r, row.n_r, 4), a, a, c, threads=3)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        for _ in range(20):
            for thread in threading.enumerate():
                if thread.name in running():
                    signal.pthread_kill(thread.ident, signal.SIGUSR1)
            c.fill(-1)
            product.run()
            assert (c == 9.0).all()
    finally:
        signal.signal(signal.SIGUSR1, before)
        product.close()


def test_what_lies_around_c_is_left_alone():
    row = microkernels.least("fp64", "float64")
    frame = np.full((20, 30), 7.0)
    c = frame[2:-3, 4:-5]
    product = Product(row, Blocking(row.m_r, row.n_r, 4), np.ones((15, 4)), np.ones((4, 21)), c)
    product.run()
    product.close()
    assert (c == 4.0).all()
    c[...] = 7.0
    assert (frame == 7.0).all()


def test_shapes_that_do_not_fit_are_refused():
    row = microkernels.least("fp64", "float64")
    with pytest.raises(ValueError, match="shapes do not fit"):
        Product(row, Blocking(row.m_r, row.n_r, 4), np.ones((3, 4)), np.ones((5, 6)), np.ones((3, 6)))


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_the_tests_see_one_wrong_element(layout):
    row = microkernels.least("int8", "int32")
    a, b = np.ones((5, 6), dtype=np.int8), np.ones((6, 7), dtype=np.int8)
    c = laid_out(np.full((5, 7), 6, dtype=np.int32), layout)
    expect(row, a, b, c, np.zeros((5, 7)))
    c[4, 6] += 1
    with pytest.raises(AssertionError):
        expect(row, a, b, c, np.zeros((5, 7)))
