"""The table of micro-kernels: for each precision and instruction set, the tile, the packing and the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from llvmlite import ir

from flopbench_kernels.gemm_numba import codegen, micro_fma, panels
from flopbench_kernels.gemm_numba.isa import LEVELS
from flopbench_kernels.gemm_numba.vector_ir import DOUBLE, FLOAT, size_of


@dataclass(frozen=True)
class MicroKernel:
    """One row of the table.

    isa         the instruction set, a key of isa.NEEDS
    m_r, n_r    the tile: rows of A, columns of B
    a, b        what packing makes of the operands
    a_unit      neighbours in k that lie together in a panel of A; b_unit the same for B
    granule     k of one micro-kernel step; panels are zero-filled to a multiple of it
    result      element type of the C tile
    emit        adds `micro` to a module
    """

    precision: str
    isa: str
    m_r: int
    n_r: int
    a: panels.Format
    b: panels.Format
    a_unit: int
    b_unit: int
    granule: int
    result: ir.Type
    accumulator: str
    emit: Callable[[ir.Module], None]
    portable: bool = True  # plain LLVM vectors: correct, if slow, on any processor
    tail_bytes: int = 0  # behind a panel of A, for the micro-kernel

    @property
    def label(self) -> str:
        return f"{self.precision}_{self.accumulator}_{self.isa}_{self.m_r}x{self.n_r}"

    @property
    def a_bytes(self) -> int:
        """Bytes of one packed element of A."""
        return size_of(self.a.packed)

    @property
    def b_bytes(self) -> int:
        return size_of(self.b.packed)

    @property
    def c_bytes(self) -> int:
        return size_of(self.result)

    def module(self) -> ir.Module:
        """micro, pack_a, pack_b and edge as LLVM IR."""
        module = ir.Module(name=self.label)
        self.emit(module)
        panels.emit_pack(module, "pack_a", self.a, self.m_r, self.a_unit, self.granule)
        panels.emit_pack(module, "pack_b", self.b, self.n_r, self.b_unit, self.granule)
        panels.emit_edge(module, "edge", self.result, self.n_r)
        return module


def _fma(precision, isa, lanes, m_r, n_v, unroll, fmt, result=None, accumulator=None) -> MicroKernel:
    element = fmt.packed
    result = result or element
    return MicroKernel(
        precision,
        isa,
        m_r,
        n_v * lanes,
        fmt,
        fmt,
        1,
        1,
        unroll,
        result,
        accumulator or {DOUBLE: "float64", FLOAT: "float32"}[element],
        lambda module: micro_fma.emit(module, "micro", element, lanes, m_r, n_v, unroll, result),
    )


_FP64, _FP32 = panels.keep(DOUBLE), panels.keep(FLOAT)

#: m_r x n_v accumulators + n_v columns + 1 broadcast fill the registers: 16 with AVX2 (6 x 2), 32 with AVX-512 (14 x 2) and NEON (8 x 3).
TABLE: tuple[MicroKernel, ...] = tuple(
    _fma(precision, isa, bits // (8 * size_of(fmt.packed)), m_r, n_v, unroll, fmt)
    for precision, fmt in (("fp64", _FP64), ("fp32", _FP32))
    for isa, bits, m_r, n_v, unroll in (("avx512", 512, 14, 2, 4), ("avx2", 256, 6, 2, 4), ("generic", 128, 6, 2, 4))
)


def rows(precision: str, accumulator: str) -> list[MicroKernel]:
    """Those that compute this, the most demanding instruction set first."""
    fitting = [row for row in TABLE if row.precision == precision and row.accumulator == accumulator]
    return sorted(fitting, key=lambda row: LEVELS.index(row.isa), reverse=True)


def choose(precision: str, accumulator: str, supported: set[str], at_most: str | None) -> MicroKernel | None:
    """The best micro-kernel: of the instruction sets in `supported`, or the table's best up to `at_most` if the user says so."""
    allowed = supported if at_most is None else set(LEVELS[: LEVELS.index(at_most) + 1])
    return next((row for row in rows(precision, accumulator) if row.isa in allowed), None)


def least(precision: str, accumulator: str) -> MicroKernel:
    """The micro-kernel that asks least of the processor."""
    return rows(precision, accumulator)[-1]


@cache
def compiled(row: MicroKernel) -> codegen.Compiled:
    """Machine code for this processor; once a process."""
    return codegen.compile_here(row.module(), row.isa)
