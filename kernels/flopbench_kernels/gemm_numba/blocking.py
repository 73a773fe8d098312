"""Block sizes from cache sizes: how much of each cache a block may fill, and why.

After Low, Igual, Smith and Quintana-Orti, "Analytical Modeling Is Enough for High-Performance BLIS", ACM TOMS 43(2), 2016: the panels of
the micro-kernel stay in L1, a block of A stays in L2, a block of B in L3. Matrix tiles (AMX) need 64 bytes of panels in a cycle at most,
which L2 can give, and multiply so fast that every further visit to C costs more: their panels are as long as L2 allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flopbench_kernels.gemm_numba.microkernels import MicroKernel


@dataclass(frozen=True)
class Caches:
    """Bytes that one core can use of each level."""

    l1: int
    l2: int
    l3: int


#: Where the machine does not say: the smallest of what servers of the last ten years have.
SMALLEST = Caches(l1=32 << 10, l2=256 << 10, l3=1 << 20)

_LARGEST = Caches(l1=128 << 10, l2=4 << 20, l3=1 << 30)


@dataclass(frozen=True)
class Fill:
    """How much of each cache a block may take, and how large a job may be."""

    l1_panels: float = 0.9  # a panel of A and one of B over k_c; the rest is for the tile of C
    l2_panels: float = 0.125  # the same, for micro-kernels that L2 feeds: an eighth leaves room for several panels of A
    l2_block: float = 0.5  # the block of A; the rest is for panels of B and tiles of C passing through
    l3_block: float = 0.5  # the block of B of one job; the rest is for the packing of the next block of k
    columns: int = 512  # of one job, so that the last one of a phase delays the team by less than a hundredth of it
    jobs_per_thread: int = 4  # at least, as long as jobs can be cut


_FILL = Fill()


@dataclass(frozen=True)
class Blocking:
    """m_c rows of A and n_c columns of B make one job; k_c is summed between two visits to C."""

    m_c: int
    n_c: int
    k_c: int


def caches_of(machine: Any) -> Caches:
    """Cache sizes per core of `machine`; what is unknown is taken as in SMALLEST."""
    sizes: dict[int, int] = {}
    for cache in machine.cpu.caches:
        if cache.kind != "instruction":
            sizes[cache.level] = cache.bytes
    return Caches(sizes.get(1, SMALLEST.l1), sizes.get(2, SMALLEST.l2), sizes.get(3, SMALLEST.l3))


def choose(row: MicroKernel, caches: Caches, m: int, n: int, k: int, threads: int) -> Blocking:
    """Block sizes for an m x n x k product by `threads` threads."""
    per_k = row.m_r * row.a_bytes + row.n_r * row.b_bytes
    panels = caches.l1 * _FILL.l1_panels if row.panels_in == 1 else caches.l2 * _FILL.l2_panels
    k_c = share(k, int(panels / per_k), row.granule)
    m_c = share(m, rows_of_a(row, caches, k_c), row.m_r)
    n_c = share(n, min(_FILL.columns, int(caches.l3 * _FILL.l3_block / (k_c * row.b_bytes))), row.n_r)
    wanted = threads * _FILL.jobs_per_thread if threads > 1 else 1
    while -(-m // m_c) * -(-n // n_c) < wanted and (m_c > row.m_r or n_c > row.n_r):
        if n_c // row.n_r > m_c // row.m_r:
            n_c = share(n, n_c // 2, row.n_r)
        else:
            m_c = share(m, m_c // 2, row.m_r)
    return Blocking(m_c, n_c, k_c)


def rows_of_a(row: MicroKernel, caches: Caches, k_c: int) -> int:
    """How many rows of A the block may have that stays in L2."""
    return int(caches.l2 * _FILL.l2_block / (k_c * row.a_bytes))


def largest(row: MicroKernel, k: int) -> Blocking:
    """Blocks that no cache of today exceeds: an upper bound for what the workspace takes."""
    return choose(row, _LARGEST, 1, 1, k, 1)


def share(total: int, most: int, unit: int) -> int:
    """The block that cuts `total` into equal parts of at most `most`, a multiple of `unit`."""
    most = max(unit, most // unit * unit)
    parts = -(-total // most)
    return -(-total // (parts * unit)) * unit
