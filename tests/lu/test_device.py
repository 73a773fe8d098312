"""The operations of the device contract against NumPy, on blocks inside larger memory; whatever lies around a block stays as it was."""

import resource

import numpy as np
import pytest
import scipy.linalg
from flopbench_kernels.device.cpu import CpuDevice, host_block
from hypothesis import given, settings
from hypothesis import strategies as st

sizes = st.integers(1, 40)
MARK = -7.25


@pytest.fixture(scope="module", params=[1, 3], ids=["one thread", "three threads"])
def device(request):
    device = CpuDevice(request.param)
    yield device
    device.close()


class Framed:
    """A block in memory that is filled with MARK around it."""

    def __init__(self, device, values, ld):
        self.memory = device.allocate(ld * (values.shape[1] + 2))
        self.whole = host_block(self.memory.address, ld, values.shape[1] + 2, ld)
        self.whole[:] = MARK
        self.values = self.whole[1 : 1 + values.shape[0], 1 : 1 + values.shape[1]]
        self.values[:] = values
        self.address = self.memory.address + 8 * (1 + ld)
        self.ld = ld

    def frame_is_intact(self):
        frame = np.ones(self.whole.shape, bool)
        frame[1 : 1 + self.values.shape[0], 1 : 1 + self.values.shape[1]] = False
        return bool(np.all(self.whole[frame] == MARK))


def framed(device, random, m, n):
    values = random.uniform(-1, 1, (m, n))
    block = Framed(device, values, m + 3)
    return values, block


@pytest.mark.skipif(
    not hasattr(resource, "RUSAGE_THREAD"), reason="this system does not count the page faults of a thread"
)
def test_a_host_buffer_has_its_pages_before_the_clock_runs(device):
    buffer = device.host_array(1 << 22)  # 32 MiB: 8192 small pages, or 16 huge ones
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    buffer[:] = 1.0
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before < 8


@given(m=sizes, n=sizes, k=sizes, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_gemm_subtracts_the_product_in_place(device, m, n, k, seed):
    random = np.random.default_rng(seed)
    a, da = framed(device, random, m, k)
    b, db = framed(device, random, k, n)
    c, dc = framed(device, random, m, n)
    device.gemm(device.stream(), m, n, k, da.address, da.ld, db.address, db.ld, dc.address, dc.ld)
    np.testing.assert_allclose(dc.values, c - a @ b, atol=1e-13)
    assert dc.frame_is_intact()


@given(k=sizes, n=sizes, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_trsm_solves_with_the_unit_lower_triangle(device, k, n, seed):
    random = np.random.default_rng(seed)
    l1, dl = framed(device, random, k, k)
    dl.values[:] = l1 = l1 / 8
    b, db = framed(device, random, k, n)
    device.trsm(device.stream(), k, n, dl.address, dl.ld, db.address, db.ld)
    expected = scipy.linalg.solve_triangular(l1, b, lower=True, unit_diagonal=True)
    np.testing.assert_allclose(db.values, expected, atol=1e-10)
    assert db.frame_is_intact()


@given(m=sizes, k=sizes, seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_gemv_subtracts_the_product_in_place(device, m, k, seed):
    random = np.random.default_rng(seed)
    a, da = framed(device, random, m, k)
    x, dx = framed(device, random, k, 1)
    y, dy = framed(device, random, m, 1)
    device.gemv(device.stream(), m, k, da.address, da.ld, dx.address, dy.address)
    np.testing.assert_allclose(dy.values, y - a @ x, atol=1e-13)
    assert dy.frame_is_intact()


@given(m=sizes, n=sizes, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_permute_rows_moves_all_rows_at_once(device, m, n, seed):
    random = np.random.default_rng(seed)
    a, da = framed(device, random, m, n)
    to = random.permutation(m)[: max(1, m // 2)]
    origin = random.permutation(to)
    device.permute_rows(device.stream(), n, da.address, da.ld, to, origin)
    expected = a.copy()
    expected[to] = a[origin]
    assert np.array_equal(da.values, expected)
    assert da.frame_is_intact()


@given(m=sizes, n=sizes, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_scatter_rows_undoes_gather_rows(device, m, n, seed):
    random = np.random.default_rng(seed)
    a, da = framed(device, random, m, n)
    rows = random.permutation(m)[: max(1, m // 2)]
    _, buffer = framed(device, random, len(rows), n)
    stream = device.stream()
    device.gather_rows(stream, n, da.address, da.ld, rows, buffer.address, buffer.ld)
    assert np.array_equal(buffer.values, a[rows])
    assert buffer.frame_is_intact()
    da.values[rows] = 0
    device.scatter_rows(stream, n, da.address, da.ld, rows, buffer.address, buffer.ld)
    assert np.array_equal(da.values, a)
    assert da.frame_is_intact()


def test_an_event_waits_for_every_piece_before_it(device):
    stream = device.stream()
    done = []
    for piece in range(50):
        device.submit(stream, lambda piece=piece: done.append(piece))
    event = stream.record()
    event.synchronize()
    assert event.done()
    assert sorted(done) == list(range(50))


def test_a_fault_in_a_piece_reaches_the_thread_that_waits(device):
    def fail():
        raise ZeroDivisionError("planted")

    stream = device.stream()
    device.submit(stream, fail)
    with pytest.raises(ZeroDivisionError, match="planted"):
        stream.record().synchronize()


def test_memory_that_cannot_be_had_is_a_memory_error(device):
    with pytest.raises(MemoryError, match="cannot allocate"):
        device.allocate(1 << 55)


def test_large_memory_starts_on_a_huge_page():
    memory = CpuDevice().allocate(1 << 20)
    assert memory.address % (2 << 20) == 0
