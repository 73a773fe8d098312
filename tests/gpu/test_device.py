"""The CUDA device against NumPy, over the stand-in: every operation on a block inside larger memory, under every order CUDA may choose."""

import numpy as np
import pytest
import scipy.linalg
from flopbench_kernels.cuda.context import Gpu
from flopbench_kernels.cuda.jump import jump
from flopbench_kernels.device.cuda import SLOTS, CudaDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbench.errors import BadInput
from flopbench.gpu_selftest.stand_in.memory import matrix
from flopbench.hpl_matrix import HplMatrix

MARK = -7.25
sizes = st.integers(1, 40)
few = settings(max_examples=25, deadline=None)


@pytest.fixture(params=["eager", "lazy", "random"])
def device(request, stand_in):
    device = CudaDevice(Gpu(libraries=stand_in(policy=request.param, seed=3)), scratch=128)
    yield device
    device.close()


class Framed:
    """A block in device memory that is filled with MARK around it."""

    def __init__(self, device, values):
        m, n = values.shape
        self.ld = m + 3
        self.memory = device.allocate(self.ld * (n + 2))
        self.whole = matrix(self.memory.address, self.ld, n + 2, self.ld, "float64")
        self.whole[:] = MARK
        self.values = self.whole[1 : 1 + m, 1 : 1 + n]
        self.values[:] = values
        self.address = self.memory.address + 8 * (1 + self.ld)

    def frame_is_intact(self):
        frame = np.ones(self.whole.shape, bool)
        frame[1 : 1 + self.values.shape[0], 1 : 1 + self.values.shape[1]] = False
        return bool(np.all(self.whole[frame] == MARK))


def finish(stream):
    stream.record().synchronize()


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (33, 7, 12), (5, 40, 3), (0, 4, 4), (4, 0, 4), (4, 4, 0)])
def test_gemm_subtracts_the_product_in_place(device, m, n, k):
    random = np.random.default_rng(1)
    a, b, c = (Framed(device, random.uniform(-1, 1, shape)) for shape in ((m, k), (k, n), (m, n)))
    expected = c.values - a.values @ b.values
    stream = device.stream()
    device.gemm(stream, m, n, k, a.address, a.ld, b.address, b.ld, c.address, c.ld)
    finish(stream)
    np.testing.assert_allclose(c.values, expected, atol=1e-13)
    assert c.frame_is_intact()


@pytest.mark.parametrize(("k", "n"), [(1, 1), (12, 5), (3, 40)])
def test_trsm_solves_with_the_unit_lower_triangle(device, k, n):
    random = np.random.default_rng(2)
    l1, b = Framed(device, random.uniform(-1, 1, (k, k)) / 8), Framed(device, random.uniform(-1, 1, (k, n)))
    expected = scipy.linalg.solve_triangular(l1.values, b.values, lower=True, unit_diagonal=True)
    stream = device.stream()
    device.trsm(stream, k, n, l1.address, l1.ld, b.address, b.ld)
    finish(stream)
    np.testing.assert_allclose(b.values, expected, atol=1e-12)
    assert b.frame_is_intact()


@pytest.mark.parametrize("n", [1, 9, 50])
def test_permute_rows_moves_all_rows_at_once_also_in_several_pieces(device, n):
    """The buffer holds 128 numbers: 12 rows of 50 columns take five rounds, which must not see each other's rows."""
    random = np.random.default_rng(3)
    a = Framed(device, random.uniform(-1, 1, (30, n)))
    to, origin = random.permutation(30)[:12], random.permutation(30)[:12]
    expected = a.values.copy()
    expected[to] = a.values[origin]
    stream = device.stream()
    device.permute_rows(stream, n, a.address, a.ld, to, origin)
    finish(stream)
    np.testing.assert_array_equal(a.values, expected)
    assert a.frame_is_intact()


def test_gathered_rows_scattered_elsewhere_arrive(device):
    random = np.random.default_rng(4)
    a, packed = Framed(device, random.uniform(-1, 1, (30, 7))), Framed(device, np.zeros((5, 7)))
    rows, elsewhere = np.array([28, 0, 3, 17, 4]), np.array([1, 2, 5, 6, 29])
    expected = a.values.copy()
    expected[elsewhere] = a.values[rows]
    stream = device.stream()
    device.gather_rows(stream, 7, a.address, a.ld, rows, packed.address, packed.ld)
    device.scatter_rows(stream, 7, a.address, a.ld, elsewhere, packed.address, packed.ld)
    finish(stream)
    np.testing.assert_array_equal(packed.values, expected[elsewhere])
    np.testing.assert_array_equal(a.values, expected)
    assert packed.frame_is_intact()
    assert a.frame_is_intact()


def test_more_row_exchanges_than_slots_keep_their_own_row_numbers(device):
    """A list of row numbers is staged in pinned memory: a slot may be written again only when its copy has happened."""
    a = Framed(device, np.arange(100.0).reshape(100, 1))
    expected = a.values.copy()
    stream = device.stream()
    for turn in range(3 * SLOTS):
        rows = np.array([turn, 99 - turn, turn + 1])
        device.permute_rows(stream, 1, a.address, a.ld, rows, np.roll(rows, 1))
        expected[rows] = expected[np.roll(rows, 1)]
    finish(stream)
    np.testing.assert_array_equal(a.values, expected)


def test_too_many_rows_for_the_buffers_are_refused_with_the_way_out(device):
    stream = device.stream()
    with pytest.raises(BadInput, match="choose a smaller NB"):
        device.permute_rows(stream, 1, 0, 1000, np.arange(200), np.arange(200))


def test_a_block_goes_to_the_host_and_back(device):
    random = np.random.default_rng(5)
    a, b = Framed(device, random.uniform(-1, 1, (9, 4))), Framed(device, np.zeros((9, 4)))
    host = device.host_array(11 * 4)
    stream = device.stream()
    device.copy_out(stream, 9, 4, a.address, a.ld, host.ctypes.data, 11)
    finish(stream)
    device.copy_in(stream, 9, 4, host.ctypes.data, 11, b.address, b.ld)
    finish(stream)
    np.testing.assert_array_equal(b.values, a.values)
    assert b.frame_is_intact()


@given(m=sizes, n=sizes, row0=st.integers(0, 200), col0=st.integers(0, 200), seed=st.integers(0, 2**64 - 1))
@few
def test_the_matrix_generated_on_the_device_is_the_hosts_bit_for_bit(m, n, row0, col0, seed):
    from flopbench.gpu_selftest.stand_in.libraries import StandIn

    device = CudaDevice(Gpu(libraries=StandIn()), scratch=128)
    source = HplMatrix(400, seed)
    block = Framed(device, np.zeros((m, n)))
    expected = np.empty((m, n))
    source.fill(expected, row0, col0)
    device.fill(device.stream(), source, m, n, row0, col0, block.address, block.ld)
    np.testing.assert_array_equal(block.values, expected)
    assert block.frame_is_intact()


def test_a_tall_block_is_generated_in_strides_bit_for_bit(device):
    """More rows than 16 a thread times one block of threads: the kernel's own stride and its jump come into play."""
    rows = 3 * 256 * 16 + 77
    source = HplMatrix(50_000)
    block = Framed(device, np.zeros((rows, 2)))
    expected = np.empty((rows, 2))
    source.fill(expected, 123, 49_999)
    stream = device.stream()
    device.fill(stream, source, rows, 2, 123, 49_999, block.address, block.ld)
    finish(stream)
    np.testing.assert_array_equal(block.values, expected)


def test_entries_far_down_the_stream_of_a_large_matrix_are_right(device):
    """n = 2 000 000: entry numbers beyond 2^41, which 32-bit arithmetic anywhere would spoil."""
    source = HplMatrix(2_000_000)
    block = Framed(device, np.zeros((3, 2)))
    expected = np.empty((3, 2))
    source.fill(expected, 1_999_997, 1_999_998)
    stream = device.stream()
    device.fill(stream, source, 3, 2, 1_999_997, 1_999_998, block.address, block.ld)
    finish(stream)
    np.testing.assert_array_equal(block.values, expected)


def test_a_matrix_that_only_the_host_can_make_is_copied_in(device):
    class Source:
        def fill(self, out, row0, col0):
            out[:] = 1000.0 * (row0 + np.arange(out.shape[0]))[:, None] + col0 + np.arange(out.shape[1])

    block = Framed(device, np.zeros((6, 5)))
    stream = device.stream()
    device.fill(stream, Source(), 6, 5, 20, 30, block.address, block.ld)
    assert block.values[2, 3] == 22_033.0
    assert block.frame_is_intact()


@given(st.integers(0, 2**64 - 1), st.integers(0, 5000))
def test_a_jump_is_so_many_single_steps(start, steps):
    x = start
    for _ in range(steps):
        x = (6364136223846793005 * x + 1) % 2**64
    multiplier, increment = jump(steps)
    assert (multiplier * start + increment) % 2**64 == x


def test_no_memory_is_left_when_the_device_is_closed(stand_in):
    libraries = stand_in()
    device = CudaDevice(Gpu(libraries=libraries), scratch=128)
    memory = device.allocate(100)
    device.stream()
    assert libraries.arena.used > 800
    memory.free()
    memory.free()
    device.close()
    device.close()
    assert libraries.arena.used == 0
