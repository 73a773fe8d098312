"""C -= L U with L packed once: right for all shapes, by any number of threads at once, with whatever L was taken last."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest
from flopbench_kernels.device import blas
from flopbench_kernels.device.cpu import CpuDevice, host_block
from flopbench_kernels.gemm_numba import isa, microkernels, subtract
from flopbench_kernels.gemm_numba.blocking import Caches
from flopbench_kernels.gemm_numba.driver import LINE
from flopbench_kernels.gemm_numba.subtract import Subtraction
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbench.machine.detect import detect

CACHES = Caches(l1=32 << 10, l2=64 << 10, l3=1 << 20)
LARGEST_K = 48
MARK = -0.0  # adding a zero to it, as a tile that sticks out would, turns its sign
ROWS = [row for row in microkernels.rows("fp64", "float64") if isa.why_not(row.isa, detect()) is None]


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.isa)
def subtraction(request):
    return Subtraction(request.param, CACHES, LARGEST_K, 3)


@dataclass
class Matrix:
    """Column-major, with a frame of MARK around it."""

    whole: np.ndarray
    values: np.ndarray

    @property
    def address(self):
        return self.values.ctypes.data

    @property
    def ld(self):
        return self.whole.shape[0]

    def frame_is_intact(self):
        frame = np.ones(self.whole.shape, bool)
        frame[1:-1, 1:-1] = False
        return bool(np.all(self.whole[frame] == 0.0) and np.all(np.signbit(self.whole[frame])))


def matrix(random, m, n):
    whole = np.full((m + 2, n + 2), MARK, order="F")
    values = whole[1:-1, 1:-1]
    values[:] = random.uniform(-1, 1, (m, n))
    return Matrix(whole, values)


@given(m=st.integers(1, 1100), n=st.integers(1, 70), k=st.integers(1, LARGEST_K), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_c_loses_the_product_and_nothing_around_it_changes(subtraction, m, n, k, seed):
    random = np.random.default_rng(seed)
    left, u, c = matrix(random, m, k), matrix(random, k, n), matrix(random, m, n)
    expected = c.values - left.values @ u.values
    packed = subtraction.left(m)
    packed.take(m, k, left.address, left.ld)
    packed.subtract(n, u.address, u.ld, c.address, c.ld)
    np.testing.assert_allclose(c.values, expected, atol=1e-13)
    assert c.frame_is_intact()


def test_more_columns_and_a_longer_k_than_one_block_takes():
    random = np.random.default_rng(1)
    m, n, k = 300, subtract.COLUMNS + 7, 401
    left, u, c = matrix(random, m, k), matrix(random, k, n), matrix(random, m, n)
    expected = c.values - left.values @ u.values
    packed = Subtraction(ROWS[0], CACHES, k, 1).left(m)
    packed.take(m, k, left.address, left.ld)
    packed.subtract(n, u.address, u.ld, c.address, c.ld)
    np.testing.assert_allclose(c.values, expected, atol=1e-12)


def test_what_was_taken_last_counts_also_when_it_is_smaller(subtraction):
    random = np.random.default_rng(2)
    packed = subtraction.left(900)
    for m, k in ((900, LARGEST_K), (13, 5), (700, 48), (700, 48)):
        left, u, c = matrix(random, m, k), matrix(random, k, 20), matrix(random, m, 20)
        expected = c.values - left.values @ u.values
        packed.take(m, k, left.address, left.ld)
        packed.subtract(20, u.address, u.ld, c.address, c.ld)
        np.testing.assert_allclose(c.values, expected, atol=1e-13)


def test_left_is_read_once_however_many_subtract(subtraction):
    random = np.random.default_rng(3)
    m, n, k = 1200, 16, 32
    left, u, c = matrix(random, m, k), matrix(random, k, n), matrix(random, m, n)
    twice = c.values - 2 * left.values @ u.values
    packed = subtraction.left(m)
    packed.take(m, k, left.address, left.ld)
    packed.subtract(n, u.address, u.ld, c.address, c.ld)
    left.values[:] = np.nan
    packed.subtract(n, u.address, u.ld, c.address, c.ld)
    np.testing.assert_allclose(c.values, twice, atol=1e-12)


def test_threads_that_begin_at_once_share_the_packing(subtraction):
    random = np.random.default_rng(4)
    m, n, k = 3000, 90, 40
    left, u, c = matrix(random, m, k), matrix(random, k, n), matrix(random, m, n)
    packed = subtraction.left(m)
    for _ in range(20):
        before = c.values.copy()
        packed.take(m, k, left.address, left.ld)
        ready = threading.Barrier(3)

        def share(thread, ready=ready):
            ready.wait()
            first = thread * 30
            packed.subtract(30, u.address + 8 * first * u.ld, u.ld, c.address + 8 * first * c.ld, c.ld)

        threads = [threading.Thread(target=share, args=(t,)) for t in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_allclose(c.values, before - left.values @ u.values, atol=1e-12)


def test_who_finds_a_part_in_the_making_waits_until_it_is_packed(subtraction):
    random = np.random.default_rng(6)
    left, u, c = matrix(random, 10, 8), matrix(random, 8, 4), matrix(random, 10, 4)
    before, expected = c.values.copy(), c.values - left.values @ u.values
    packed = subtraction.left(10)
    packed.take(10, 8, left.address, left.ld)
    packed.subtract(4, u.address, u.ld, c.address, c.ld)
    c.values[:] = before
    packed.marks[LINE] = 0  # as if somebody else had claimed the part and were still packing it
    waiting = threading.Thread(target=packed.subtract, args=(4, u.address, u.ld, c.address, c.ld), daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive() and np.array_equal(c.values, before)
    packed.marks[LINE] = 1
    waiting.join(60)
    assert not waiting.is_alive()
    np.testing.assert_allclose(c.values, expected, atol=1e-14)


@given(k=st.integers(1, LARGEST_K), n=st.integers(1, 70), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_u_is_solved_for_with_the_unit_lower_triangle_and_nothing_around_it_changes(subtraction, k, n, seed):
    random = np.random.default_rng(seed)
    l1, u = matrix(random, k, k), matrix(random, k, n)
    # what stands on and above the diagonal of l1 is U's, and not to be read
    triangle = np.tril(l1.values, -1) + np.eye(k)
    before = u.values.copy()
    subtraction.solve(k, n, l1.address, l1.ld, u.address, u.ld)
    error = np.abs(triangle @ u.values - before)
    assert np.all(error <= 1e-14 * k * (np.abs(triangle) @ np.abs(u.values)))
    assert u.frame_is_intact()


def test_more_columns_than_are_packed_at_a_time_are_solved_for(subtraction):
    random = np.random.default_rng(8)
    l1, u = matrix(random, 30, 30), matrix(random, 30, 2 * subtract.COLUMNS + 5)
    before = u.values.copy()
    subtraction.solve(30, u.values.shape[1], l1.address, l1.ld, u.address, u.ld)
    np.testing.assert_allclose((np.tril(l1.values, -1) + np.eye(30)) @ u.values, before, atol=1e-9)


@pytest.mark.parametrize("multiplies", [True, False])
def test_a_device_solves_by_our_own_way_whoever_multiplies(monkeypatch, multiplies):
    def refuse(*arguments):
        raise AssertionError("BLAS was asked")

    monkeypatch.setattr(blas, "trsm", refuse)
    random = np.random.default_rng(9)
    l1, u = matrix(random, 4, 4), matrix(random, 4, 6)
    before = u.values.copy()
    own = CpuDevice(1, None, Subtraction(ROWS[0], CACHES, 4, 1), multiplies)
    assert (own.left(4) is not None) == multiplies
    own.trsm(own.stream(), 4, 6, l1.address, l1.ld, u.address, u.ld)
    own.close()
    np.testing.assert_allclose((np.tril(l1.values, -1) + np.eye(4)) @ u.values, before, atol=1e-13)
    plain = CpuDevice()
    with pytest.raises(AssertionError, match="BLAS was asked"):
        plain.trsm(plain.stream(), 4, 6, l1.address, l1.ld, u.address, u.ld)
    plain.close()


def test_nothing_to_subtract_from_is_no_fault(subtraction):
    packed = subtraction.left(0)
    packed.take(0, 8, 0, 1)
    packed.subtract(5, 0, 1, 0, 1)


def test_a_device_offers_room_for_an_l_only_with_a_product_of_its_own():
    plain = CpuDevice()
    assert plain.left(10) is None
    assert plain.describe()["update"] == "BLAS"
    plain.close()
    own = CpuDevice(1, None, Subtraction(ROWS[0], CACHES, 4, 1))
    random = np.random.default_rng(5)
    left, u, c = matrix(random, 10, 4), matrix(random, 4, 6), matrix(random, 10, 6)
    expected = c.values - left.values @ u.values
    packed = own.left(10)
    packed.take(10, 4, left.address, left.ld)
    packed.subtract(6, u.address, u.ld, c.address, c.ld)
    np.testing.assert_allclose(host_block(c.address, 10, 6, c.ld), expected, atol=1e-14)
    assert own.describe()["update"] == f"own product, {ROWS[0].label}"
    own.close()
