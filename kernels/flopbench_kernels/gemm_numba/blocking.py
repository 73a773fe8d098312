"""Block sizes from cache sizes: how much of each cache a block may fill, and why.

After Low, Igual, Smith and Quintana-Orti, "Analytical Modeling Is Enough for High-Performance BLIS", ACM TOMS 43(2), 2016: the panels of
the micro-kernel stay in L1, a block of A stays in L2, a block of B in L3; or, where the micro-kernel's `outer` is A, with A and B the
other way round. Matrix tiles (AMX) need 64 bytes of panels in a cycle at most, AVX-512's vectors 22, which L2 can give; both multiply so
fast that every further visit to C costs more: their panels are as long as L2 allows.
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
    l2_block: float = 0.5  # the block that stays; the rest is for panels of the other and tiles of C passing through
    l3_block: float = 0.5  # the block of the other of one job; the rest is for the packing of the next block of k
    longest: int = 512  # rows or columns of the latter, so that the last job of a phase delays the team by less than a hundredth of it
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
    if row.outer == "a":
        m_c, n_c = _from_l3(caches, k_c * row.a_bytes), fitting_l2(caches, k_c * row.b_bytes)
    else:
        m_c, n_c = fitting_l2(caches, k_c * row.a_bytes), _from_l3(caches, k_c * row.b_bytes)
    m_c, n_c = share(m, m_c, row.m_r), share(n, n_c, row.n_r)
    wanted = threads * _FILL.jobs_per_thread if threads > 1 else 1
    while -(-m // m_c) * -(-n // n_c) < wanted and (m_c > row.m_r or n_c > row.n_r):
        if n_c // row.n_r > m_c // row.m_r:
            n_c = share(n, n_c // 2, row.n_r)
        else:
            m_c = share(m, m_c // 2, row.m_r)
    return Blocking(m_c, n_c, k_c)


def fitting_l2(caches: Caches, each: int) -> int:
    """How many rows of A, or columns of B, of `each` bytes the block may have that stays in L2."""
    return int(caches.l2 * _FILL.l2_block / each)


def _from_l3(caches: Caches, each: int) -> int:
    """The same of the block whose panels come from L3 one by one."""
    return min(_FILL.longest, int(caches.l3 * _FILL.l3_block / each))


def largest(row: MicroKernel, k: int) -> Blocking:
    """Blocks that no cache of today exceeds: an upper bound for what the workspace takes."""
    return choose(row, _LARGEST, 1, 1, k, 1)


def share(total: int, most: int, unit: int) -> int:
    """The block that cuts `total` into equal parts of at most `most`, a multiple of `unit`."""
    most = max(unit, most // unit * unit)
    parts = -(-total // most)
    return -(-total // (parts * unit)) * unit
