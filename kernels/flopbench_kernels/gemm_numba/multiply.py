"""C = A B (+ C) on NumPy arrays of any strides, with a team of threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flopbench_kernels.gemm_numba import driver, microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.codegen import Compiled
from flopbench_kernels.gemm_numba.jit import prepare
from flopbench_kernels.gemm_numba.microkernels import MicroKernel
from flopbench_kernels.gemm_numba.team import Team

_PANELS_PER_JOB = 16  # packed by one job at most, ...
_PACKING_JOBS_PER_THREAD = 4  # ... and fewer, so that every thread gets some
_LINE = 64  # bytes of a cache line, and of the longest vector: loads of packed panels never cross a line


def aligned(nbytes: int) -> np.ndarray:
    """Uninitialised bytes that start on a cache line."""
    raw = np.empty(nbytes + _LINE, dtype=np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + nbytes]


def _whole_lines(nbytes: int) -> int:
    return -(-nbytes // _LINE) * _LINE


def workspace_bytes(row: MicroKernel, block: Blocking, m: int, n: int) -> int:
    """What a Product allocates beside its operands, but for a few pages."""
    a_panel, b_panel = _panel_bytes(row, block)
    return 2 * (-(-m // row.m_r) * a_panel + -(-n // row.n_r) * b_panel)


def _panels_per_job(panels: int, threads: int) -> int:
    """How many of the `panels` of one block of k a job packs."""
    return max(1, min(_PANELS_PER_JOB, panels // (threads * _PACKING_JOBS_PER_THREAD)))


def _panel_bytes(row: MicroKernel, block: Blocking) -> tuple[int, int]:
    """From one packed panel to the next, of A and of B."""
    a = _whole_lines(row.m_r * block.k_c * row.a_bytes) + _whole_lines(row.tail_bytes)
    return a, _whole_lines(row.n_r * block.k_c * row.b_bytes)


@dataclass
class Product:
    """C = A B, or C += A B with beta = 1, prepared once and run as often as wanted.

    a: (m, k), b: (k, n) in the precision's operand type (bfloat16 as uint16), c: (m, n) in the row's result type; any strides.
    `code` is the row's machine code; None compiles it for this processor.
    """

    row: MicroKernel
    block: Blocking
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    threads: int = 1
    beta: int = 0
    code: Compiled | None = None
    _keep: list[Any] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        a, b, c = self.a, self.b, self.c
        (m, k), (k2, n) = a.shape, b.shape
        if k != k2 or c.shape != (m, n) or min(m, n, k) < 1:
            raise ValueError(f"shapes do not fit: A {a.shape}, B {b.shape}, C {c.shape}")
        row, block = self.row, self.block
        code = self.code or microkernels.compiled(row)
        a_panel, b_panel = _panel_bytes(row, block)
        a_half, b_half = -(-m // row.m_r) * a_panel, -(-n // row.n_r) * b_panel
        a_packed, b_packed = aligned(2 * a_half), aligned(2 * b_half)
        scratch_step = _whole_lines(row.m_r * row.n_r * row.c_bytes)
        scratch = aligned(self.threads * scratch_step)
        products = -(-m // block.m_c) * -(-n // block.n_c)
        self._shared = np.zeros(driver.shared_size(-(-k // block.k_c), products), dtype=np.int64)
        self._keep = [code, a_packed, b_packed, scratch]
        self.plan = driver.Plan(
            m=m,
            n=n,
            k=k,
            a=a.ctypes.data,
            a_row=a.strides[0],
            a_column=a.strides[1],
            b=b.ctypes.data,
            b_row=b.strides[0],
            b_column=b.strides[1],
            c=c.ctypes.data,
            c_row=c.strides[0],
            c_column=c.strides[1],
            c_dense_rows=int(c.strides[1] == c.itemsize),
            beta=self.beta,
            m_r=row.m_r,
            n_r=row.n_r,
            m_c=block.m_c,
            n_c=block.n_c,
            k_c=block.k_c,
            outer_is_a=int(row.outer == "a"),
            granule=row.granule,
            a_bytes=row.a_bytes,
            b_bytes=row.b_bytes,
            c_bytes=row.c_bytes,
            a_panel=a_panel,
            b_panel=b_panel,
            a_half=a_half,
            b_half=b_half,
            a_packed=a_packed.ctypes.data,
            b_packed=b_packed.ctypes.data,
            panels_per_job=_panels_per_job(-(-m // row.m_r) + -(-n // row.n_r), self.threads),
            a_tail=a_panel - _whole_lines(row.tail_bytes),
            scratch=scratch.ctypes.data,
            scratch_step=scratch_step,
            micro=code.addresses["micro"],
            pack_a=code.addresses["pack_a"],
            pack_b=code.addresses["pack_b"],
            edge=code.addresses["edge"],
            finish_a=code.addresses.get("finish_a", 0),
            enter=code.addresses.get("enter", 0),
            leave=code.addresses.get("leave", 0),
        )
        self.code_origin = prepare(driver.take_part, self.plan, 0, 0, 0, 0, 0, 0)
        self._team = Team(self.threads)
        self._team.start(self.plan, self._shared.ctypes.data, [*self._keep, self._shared])

    def run(self) -> None:
        """Multiply; returns when C is written."""
        self._shared[:] = 0
        self._team.work(self.plan, self._shared.ctypes.data)

    def close(self) -> None:
        """End the threads and give the workspace back."""
        self._team.close()
        self._keep.clear()
