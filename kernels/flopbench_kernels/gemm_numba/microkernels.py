"""The table of micro-kernels: for each precision and instruction set, the tile, the packing and the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir

from flopbench_kernels.gemm_numba import codegen, micro_tiles, micro_vector, panels
from flopbench_kernels.gemm_numba.instructions import NATIVE, Native
from flopbench_kernels.gemm_numba.isa import LEVELS
from flopbench_kernels.gemm_numba.micro_vector import Tile
from flopbench_kernels.gemm_numba.panels import Format
from flopbench_kernels.gemm_numba.vector_ir import DOUBLE, FLOAT, HALF, I8, I16, I32, size_of


@dataclass(frozen=True)
class MicroKernel:
    """One row of the table.

    isa           the instruction set, a key of isa.NEEDS
    accumulator   NumPy name of the type in which sums are kept
    m_r, n_r      the tile: rows of A, columns of B
    a, b          what packing makes of the operands
    a_unit        neighbours in k that lie together in a panel of A; b_unit the same for B
    granule       k of one step of the micro-kernel; panels are zero-filled to a multiple of it
    result        element type of C
    emit          adds the micro-kernel to a module; its own instructions come from the second argument
    portable      plain LLVM vectors: right, if slow, on any processor
    tail_bytes    behind a panel of A: the sums of its rows, for dot products of unsigned by signed
    panels_in     the level of cache that feeds the micro-kernel: 1, or 2 where its instructions take so long that L2 keeps up
    outer         "a" or "b": one panel of this is multiplied by a whole block of the other, which lies in L2
    """

    precision: str
    isa: str
    accumulator: str
    m_r: int
    n_r: int
    a: Format
    b: Format
    a_unit: int
    b_unit: int
    granule: int
    result: ir.Type
    emit: Callable[[ir.Module, Native], None]
    portable: bool = False
    tail_bytes: int = 0
    panels_in: int = 1
    outer: str = "b"

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

    def module(self, native: Native = NATIVE) -> ir.Module:
        """micro, pack_a, pack_b and edge, and where there are such: finish_a, enter, leave; as LLVM IR."""
        module = ir.Module(name=self.label)
        self.emit(module, native)
        panels.emit_pack(module, "pack_a", self.a, self.m_r, self.a_unit, self.granule)
        panels.emit_pack(module, "pack_b", self.b, self.n_r, self.b_unit, self.granule)
        panels.emit_edge(module, "edge", self.result, self.n_r)
        if self.tail_bytes:
            micro_vector.emit_tail(module, self.m_r, self.a_unit)
        return module


#: Tile height, vectors a row and vector bits that fill the registers: m_r x n_v sums, n_v columns, 1 unit. 16 registers with AVX2 and in
#: generic code (6 x 2, or 4 x 3, which takes a third less of A from L2 in the same time), 32 with AVX-512. There 14 x 2 would fill them;
#: 8 x 3 keeps the unit just as busy, with 11 loads for 24 products and 8 rows of C, not 16 for 28 and 14.
_SHAPE = {"generic": (6, 2, 128), "avx2": (6, 2, 256), "avxvnni": (6, 2, 256)}
_SHAPE_512 = (8, 3, 512)


def _shape(isa: str) -> tuple[int, int, int]:
    return _SHAPE.get(isa, _SHAPE_512)


def _fma_shape(isa: str) -> tuple[int, int, int]:
    """FMA takes both operands as they are: what a dot product needs for its own temporary, a third column can have."""
    return (4, 3, 256) if isa == "avx2" else _shape(isa)


def _loops(isa: str) -> dict[str, Any]:
    """From which cache a micro-kernel of vectors is fed, and in which order it goes through a block.

    With AVX-512 the panels would fill L1 after a hundred of k, and C would be visited too often; L2 keeps up, and along the rows of C
    the next tile is in the same pages.
    """
    return {} if isa in _SHAPE else {"panels_in": 2, "outer": "a"}


def _fma(precision: str, isa: str, fmt: Format, accumulator: str) -> MicroKernel:
    """One FMA for each product, in the type that the operands are packed in."""
    element, unroll = fmt.packed, 4
    m_r, n_v, bits = _fma_shape(isa)
    tile = Tile(m_r, n_v, bits // (8 * size_of(element)), element, element, element, unroll)

    def emit(module: ir.Module, native: Native) -> None:
        micro_vector.emit(module, tile, micro_vector.fma, asks_ahead=True)

    return MicroKernel(
        precision, isa, accumulator, m_r, tile.n_r, fmt, fmt, 1, 1, unroll, tile.result, emit, True, **_loops(isa)
    )


def _half_fma() -> MicroKernel:
    """FMA in FP16; the sums over a block of k go to C in FP32."""
    unroll, pairs = 4, panels.twice(I16)
    m_r, n_v, bits = _SHAPE_512
    tile = Tile(m_r, n_v, bits // (8 * size_of(HALF)), HALF, HALF, FLOAT, unroll, word=pairs.packed)

    def emit(module: ir.Module, native: Native) -> None:
        micro_vector.emit(module, tile, micro_vector.fma)

    halves = panels.keep(HALF)
    isa = "avx512fp16"
    return MicroKernel("fp16", isa, "float16", m_r, tile.n_r, pairs, halves, 1, 1, unroll, FLOAT, emit, **_loops(isa))


def _dot(precision: str, isa: str, name: str, a: Format, b: Format, unit: int, total: ir.Type) -> MicroKernel:
    """An instruction that sums `unit` products into each 32-bit lane; `name` is its method in Native."""
    unroll = 2
    m_r, n_v, bits = _shape(isa)
    tile = Tile(m_r, n_v, bits // 32, I32, total, total, unroll)
    unsigned = name == "dot_us8"

    def emit(module: ir.Module, native: Native) -> None:
        dot = getattr(native, name)
        # the unsigned operand is the vector of B, so that the broadcast of A can be part of the instruction
        swap = (lambda b, sums, x, y: dot(b, sums, y, x)) if unsigned else dot
        micro_vector.emit(module, tile, swap, sums_from_tail=unsigned)

    accumulator = "int32" if total is I32 else "float32"
    tail = 4 * m_r if unsigned else 0
    return MicroKernel(
        precision,
        isa,
        accumulator,
        m_r,
        tile.n_r,
        a,
        b,
        unit,
        unit,
        unroll * unit,
        total,
        emit,
        tail_bytes=tail,
        **_loops(isa),
    )


def _tiles(precision: str, isa: str, kind: str, fmt: Format, total: ir.Type) -> MicroKernel:
    """AMX: 64 bytes of k at a time."""
    element = size_of(fmt.packed)
    step = micro_tiles.STEP_BYTES // element

    def emit(module: ir.Module, native: Native) -> None:
        micro_tiles.emit(module, kind, native)

    accumulator = "int32" if total is I32 else "float32"
    m_r, n_r = micro_tiles.M_R, micro_tiles.N_R
    unit = 4 // element
    return MicroKernel(precision, isa, accumulator, m_r, n_r, fmt, fmt, step, unit, step, total, emit, panels_in=2)


def _widening_int8() -> MicroKernel:
    """s8 x s8 for any processor: packed as s16, one product a lane."""
    fmt = panels.extend_int(I8, I16)
    m_r, n_v, bits = _shape("generic")
    tile = Tile(m_r, n_v, bits // 32, I16, I32, I32, 2)

    def emit(module: ir.Module, native: Native) -> None:
        micro_vector.emit(module, tile, micro_vector.multiply_add_s16)

    return MicroKernel("int8", "generic", "int32", m_r, tile.n_r, fmt, fmt, 1, 1, 2, I32, emit, True)


_S8, _S16, _BF16 = panels.keep(I8), panels.extend_int(I8, I16), panels.keep(I16)
_VECTOR = ("generic", "avx2", "avx512")

TABLE: tuple[MicroKernel, ...] = (
    *(_fma("fp64", isa, panels.keep(DOUBLE), "float64") for isa in _VECTOR),
    *(_fma("fp32", isa, panels.keep(FLOAT), "float32") for isa in _VECTOR),
    *(_fma("bf16", isa, panels.bfloat_bits(), "float32") for isa in _VECTOR),
    _dot("bf16", "avx512bf16", "dot_bf16", _BF16, _BF16, 2, FLOAT),
    _tiles("bf16", "amx", "bf16", _BF16, FLOAT),
    _fma("fp16", "generic", panels.half_bits(), "float32"),
    *(_fma("fp16", isa, panels.extend_float(HALF, FLOAT), "float32") for isa in ("avx2", "avx512")),
    _tiles("fp16", "amxfp16", "fp16", panels.keep(I16), FLOAT),
    _half_fma(),
    _widening_int8(),
    *(_dot("int8", isa, "dot_s16", _S16, _S16, 2, I32) for isa in ("avx2", "avx512")),
    *(_dot("int8", isa, "dot_us8", _S8, panels.flip_sign(), 4, I32) for isa in ("avxvnni", "avx512vnni")),
    _tiles("int8", "amx", "s8", _S8, I32),
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
