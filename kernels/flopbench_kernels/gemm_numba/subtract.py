"""C -= L U for one L and many U, as the update of a panel in an LU has it: L is packed once, whoever comes first to a part of it packs it.

All matrices are column-major float64. The micro-kernel sees the transposed product: its rows, which are broadcast, are columns of U and
C; its columns, the lanes of a vector, are rows of L and C. U is packed with its sign turned, so that the micro-kernel can add.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np

from flopbench_kernels.gemm_numba import driver, microkernels
from flopbench_kernels.gemm_numba.blocking import Caches, fitting_l2, share
from flopbench_kernels.gemm_numba.calls import call6, fetch_add
from flopbench_kernels.gemm_numba.codegen import Compiled
from flopbench_kernels.gemm_numba.driver import LINE, wait
from flopbench_kernels.gemm_numba.jit import jit, prepare
from flopbench_kernels.gemm_numba.microkernels import MicroKernel
from flopbench_kernels.gemm_numba.multiply import aligned
from flopbench_kernels.gemm_numba.panels import negate
from flopbench_kernels.gemm_numba.solve import pack_u, solve
from flopbench_kernels.gemm_numba.team import address_in_libc
from flopbench_kernels.gemm_numba.vector_ir import DOUBLE

_K_C = 352  # of k at most between two visits to C: the usual NB goes in one
_PART_ROWS = 504  # of L, packed together and multiplied together, where the block of U stays in L2; 0.8 MB at k = 200
COLUMNS = 480  # of U packed at a time


class Plan(NamedTuple):
    """One L, for all threads; addresses in bytes. All integers."""

    m: int
    k: int
    k_c: int
    left: int
    left_column: int  # bytes from one column to the next
    packed: int
    a_panel: int  # bytes from one packed panel of U to the next
    b_panel: int  # the same of L
    panels: int  # of L
    part: int  # panels of a part
    parts: int
    marks: int  # two counters for each part, a line apart: claimed, packed
    m_r: int
    n_r: int
    m_c: int
    outer_is_a: int
    granule: int
    c_bytes: int
    a_tail: int
    micro: int
    pack_u: int
    pack_l: int
    edge: int
    yield_cpu: int


@jit
def _pack_part(p, part):
    """Pack one part of L, if nobody has begun with it; come back when it is packed."""
    claimed = p.marks + 16 * LINE * part
    if fetch_add(claimed) == 0:
        first = part * p.part
        for k in range(0, p.k, driver.K_AT_ONCE):
            for j in range(first, min(first + p.part, p.panels)):
                call6(
                    p.pack_l,
                    p.left + 8 * j * p.n_r + k * p.left_column,
                    8,
                    p.left_column,
                    min(p.n_r, p.m - j * p.n_r),
                    min(driver.K_AT_ONCE, p.k - k),
                    p.packed + j * p.b_panel + 8 * p.n_r * k,
                )
        fetch_add(claimed + 8 * LINE)
    wait(claimed + 8 * LINE, 1, p.yield_cpu)


@jit
def _multiply_part(p, part, columns, u_packed, c, ldc, tile):
    """Subtract the product of one part of L and the packed columns of U."""
    j0 = part * p.part * p.n_r
    j1 = min(j0 + p.part * p.n_r, p.m)
    for k0 in range(0, p.k, p.k_c):
        steps = (min(p.k_c, p.k - k0) + p.granule - 1) // p.granule
        b0 = p.packed + part * p.part * p.b_panel + 8 * p.n_r * k0
        for i0 in range(0, columns, p.m_c):
            a0 = u_packed + i0 // p.m_r * p.a_panel + 8 * p.m_r * k0
            driver.multiply_tiles(p, i0, min(i0 + p.m_c, columns), j0, j1, a0, b0, c, 8 * ldc, 8, 1, steps, 1, tile)


@jit
def _subtract(p, n, u, ldu, c, ldc, start, room, tile):
    """C (m x n) -= L U, one thread's share; it begins with part `start` of L, so that threads pack different parts."""
    for j0 in range(0, n, COLUMNS):
        columns = min(COLUMNS, n - j0)
        pack_u(p, u + 8 * j0 * ldu, ldu, columns, p.k, room)
        for q in range(p.parts):
            part = (start + q) % p.parts
            _pack_part(p, part)
            _multiply_part(p, part, columns, room, c + 8 * j0 * ldc, ldc, tile)


@cache
def _compiled(row: MicroKernel) -> Compiled:
    return microkernels.compiled(dataclasses.replace(row, a=negate(DOUBLE)))


class Subtraction:
    """What the subtractions of a run share: machine code, blocks, and room to pack U in, one for each thread."""

    def __init__(self, row: MicroKernel, caches: Caches, k: int, threads: int) -> None:
        """`k`: the most columns of L. Raises MemoryError."""
        self.row, self._threads = row, threads
        self._code = _compiled(row)
        self._padded = -(-k // row.granule) * row.granule
        self._k_c = share(k, _K_C, row.granule)
        stays = fitting_l2(caches, 8 * self._k_c)
        columns, rows = (COLUMNS, stays) if row.outer == "a" else (stays, _PART_ROWS)
        self._m_c = max(1, columns // row.m_r) * row.m_r
        self._part = max(1, rows // row.n_r)
        self._u_panel = 8 * row.m_r * self._padded
        l_panel, square, tile = 8 * row.n_r * self._padded, 8 * row.n_r * row.n_r, 8 * row.m_r * row.n_r
        #: Bytes of each part of a thread's room.
        self._room = (-(-COLUMNS // row.m_r) * self._u_panel, l_panel, square, tile)
        self._rooms: deque[tuple[int, np.ndarray]] = deque()
        for thread in range(threads):
            room = aligned(sum(self._room))
            room[:] = 0  # the system gives pages at the first touch: now, not in the timed region
            self._rooms.append((thread, room))
        nothing = np.zeros(1)
        self._solving = self.plan(nothing, nothing, 0, 0, 0, 0)
        prepare(_subtract, self._solving, *[0] * 8)
        prepare(solve, self._solving, *[0] * 10)

    def left(self, m: int) -> PackedLeft:
        """Room for an L of at most `m` rows. Raises MemoryError."""
        return PackedLeft(self, m)

    def plan(self, memory: np.ndarray, marks: np.ndarray, m: int, k: int, a: int, lda: int) -> Plan:
        """For an L of m x k at address `a`, to be packed into `memory`."""
        row, code = self.row, self._code.addresses
        return Plan(
            m=m,
            k=k,
            k_c=self._k_c,
            left=a,
            left_column=8 * lda,
            packed=memory.ctypes.data,
            a_panel=self._u_panel,
            b_panel=8 * row.n_r * self._padded,
            panels=-(-m // row.n_r),
            part=self._part,
            parts=self._parts(m),
            marks=marks.ctypes.data,
            m_r=row.m_r,
            n_r=row.n_r,
            m_c=self._m_c,
            outer_is_a=int(row.outer == "a"),
            granule=row.granule,
            c_bytes=row.c_bytes,
            a_tail=0,
            micro=code["micro"],
            pack_u=code["pack_a"],
            pack_l=code["pack_b"],
            edge=code["edge"],
            yield_cpu=address_in_libc("sched_yield"),
        )

    def packed_count(self, m: int) -> int:
        """float64 of a packed L of m rows."""
        return -(-m // self.row.n_r) * self.row.n_r * self._padded

    def marks_count(self, m: int) -> int:
        """Counters of an L of m rows."""
        return 2 * LINE * self._parts(m)

    def run(self, plan: Plan, n: int, u: int, ldu: int, c: int, ldc: int) -> None:
        """C (m x n) -= L U, in the calling thread."""
        with self._a_room() as (number, packed, _, _, tile):
            _subtract(plan, n, u, ldu, c, ldc, plan.parts * number // self._threads, packed, tile)

    def solve(self, k: int, n: int, l1: int, ldl: int, u: int, ldu: int) -> None:
        """U (k x n, at address `u`) = L1^-1 U with the unit lower triangle at `l1`, in the calling thread."""
        with self._a_room() as (_, packed, lower, inverse, tile):
            for j in range(0, n, COLUMNS):
                columns = min(COLUMNS, n - j)
                solve(self._solving, k, columns, l1, ldl, u + 8 * j * ldu, ldu, packed, lower, inverse, tile)

    @contextmanager
    def _a_room(self) -> Iterator[tuple[int, ...]]:
        """The number of a room that nobody uses, and the addresses of its parts."""
        number, room = self._rooms.pop()
        try:
            yield number, *(room.ctypes.data + sum(self._room[:part]) for part in range(len(self._room)))
        finally:
            self._rooms.append((number, room))

    def _parts(self, m: int) -> int:
        panels = -(-m // self.row.n_r)
        return -(-panels // self._part)


class PackedLeft:
    """An L of an update, in the form that the product wants; packed by the first threads that need it."""

    widest = COLUMNS

    def __init__(self, subtraction: Subtraction, m: int) -> None:
        self._shared = subtraction
        self._memory = aligned(8 * subtraction.packed_count(m))
        self._memory[:] = 0
        self.marks = np.zeros(subtraction.marks_count(m), dtype=np.int64)
        self._plan: Plan | None = None

    def take(self, m: int, k: int, a: int, lda: int) -> None:
        """From now on L (m x k) is the matrix at address `a`. Nobody may be subtracting, and it must not change before all have."""
        self.marks[:] = 0
        self._plan = self._shared.plan(self._memory, self.marks, m, k, a, lda)

    def subtract(self, n: int, u: int, ldu: int, c: int, ldc: int) -> None:
        """C (m x n) -= L U, with U and C at addresses `u` and `c`. Threads may do this at once, for different columns."""
        assert self._plan is not None
        if self._plan.m and n:
            self._shared.run(self._plan, n, u, ldu, c, ldc)
