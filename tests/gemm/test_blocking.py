"""Block sizes follow from cache sizes: panels fit the level that feeds them, one block fits L2, and every thread gets work."""

from __future__ import annotations

import pytest
from flopbench_kernels.gemm_numba import blocking, microkernels
from flopbench_kernels.gemm_numba.multiply import workspace_bytes
from hypothesis import given
from hypothesis import strategies as st

from flopbench.machine.detect import detect
from flopbench.machine.model import Cache

KIB = 1 << 10
ROWS = st.sampled_from(microkernels.TABLE)
CACHES = st.builds(
    blocking.Caches,
    l1=st.sampled_from([32, 48, 64, 128]).map(lambda v: v * KIB),
    l2=st.sampled_from([256, 512, 1024, 2048, 4096]).map(lambda v: v * KIB),
    l3=st.sampled_from([1, 8, 32, 480]).map(lambda v: v * KIB * KIB),
)
SIZE = st.integers(1, 20000)


@given(ROWS, CACHES, SIZE, SIZE, SIZE, st.integers(1, 128))
def test_blocks_fit_their_caches_and_are_whole_tiles(row, caches, m, n, k, threads):
    block = blocking.choose(row, caches, m, n, k, threads)
    assert block.m_c % row.m_r == 0 and block.n_c % row.n_r == 0 and block.k_c % row.granule == 0
    assert min(block.m_c, block.n_c, block.k_c) > 0
    assert block.k_c * (row.m_r * row.a_bytes + row.n_r * row.b_bytes) <= (caches.l1, caches.l2)[row.panels_in - 1]
    of_a, of_b = (caches.l3, caches.l2) if row.outer == "a" else (caches.l2, caches.l3)
    assert block.m_c == row.m_r or block.m_c * block.k_c * row.a_bytes <= of_a
    assert block.n_c == row.n_r or block.n_c * block.k_c * row.b_bytes <= of_b


@given(ROWS, CACHES, SIZE, SIZE, SIZE, st.integers(2, 128))
def test_every_thread_gets_jobs_as_long_as_there_are_tiles(row, caches, m, n, k, threads):
    block = blocking.choose(row, caches, m, n, k, threads)
    jobs = -(-m // block.m_c) * -(-n // block.n_c)
    tiles = -(-m // row.m_r) * -(-n // row.n_r)
    assert jobs >= min(tiles, 4 * threads)


@given(ROWS, CACHES, SIZE, SIZE, SIZE, st.integers(1, 128))
def test_the_workspace_is_never_larger_than_announced(row, caches, m, n, k, threads):
    used = workspace_bytes(row, blocking.choose(row, caches, m, n, k, threads), m, n)
    assert used <= workspace_bytes(row, blocking.largest(row, k), m, n)


def test_cache_sizes_come_from_the_machine_and_instructions_do_not_count():
    machine = detect()
    machine.cpu.caches = [
        Cache(level=1, kind="instruction", bytes=99 * KIB),
        Cache(level=1, kind="data", bytes=48 * KIB),
        Cache(level=1, kind="instruction", bytes=99 * KIB),
        Cache(level=2, kind="unified", bytes=2048 * KIB),
    ]
    assert blocking.caches_of(machine) == blocking.Caches(48 * KIB, 2048 * KIB, blocking.SMALLEST.l3)


def test_tiles_have_longer_panels_and_visit_c_once_where_l2_allows():
    sapphire_rapids = blocking.Caches(48 * KIB, 2048 * KIB, 32 * KIB * KIB)
    for precision, k_c in (("int8", 4096), ("bf16", 2048)):
        row = next(row for row in microkernels.TABLE if row.isa == "amx" and row.precision == precision)
        assert blocking.choose(row, sapphire_rapids, 4096, 4096, 4096, 16).k_c == k_c


def test_vectors_of_avx512_are_fed_by_l2_which_keeps_a_block_of_b():
    row = next(row for row in microkernels.TABLE if row.label == "fp64_float64_avx512_8x24")
    zen_4 = blocking.Caches(32 * KIB, 1024 * KIB, 32 * KIB * KIB)
    assert blocking.choose(row, zen_4, 4096, 4096, 4096, 1) == blocking.Blocking(m_c=512, n_c=120, k_c=512)


@pytest.mark.parametrize(("label", "k_c"), [("fp64_float64_avx2_4x12", 228), ("int8_int32_avx2_6x16", 668)])
def test_l1_sets_the_depth(label, k_c):
    row = next(row for row in microkernels.TABLE if row.label == label)
    assert (
        blocking.choose(row, blocking.Caches(32 * KIB, 512 * KIB, 32 * KIB * KIB), 9999, 9999, 99 * k_c, 1).k_c == k_c
    )
