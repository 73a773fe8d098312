"""The micro-kernel of matrix tiles (AMX): a 32 x 32 tile of C in four tile registers, two each for A and B.

Four dot products of tiles need 64 cycles and the tile of C is 64 cache lines, so that one line of it is asked for in each step of k, ahead
of its use; when the tile is complete, this goes on with the rows below, which are the next tile.

A tile of A is 16 rows of 64 bytes along k; a tile of B is 16 units of k (4 bytes each) for 16 columns. Both lie in the panels as the
packing leaves them: [k / a_unit][32][a_unit] and [k / b_unit][32][b_unit] with units of 64 and of 4 bytes.
"""

from __future__ import annotations

from llvmlite import ir

from flopbench_kernels.gemm_numba.instructions import Native
from flopbench_kernels.gemm_numba.micro_vector import ARGUMENTS
from flopbench_kernels.gemm_numba.vector_ir import I8, I64, at, const, function, prefetch

M_R = N_R = 32
STEP_BYTES = 64  # of k, of one row of A
_TILE_ROWS, _TILE_ROW_BYTES = 16, 64

#: Which register holds what: four tiles of C, row by row; two of A; two of B.
_C, _A, _B = (0, 1, 2, 3), (4, 5), (6, 7)


def emit(module: ir.Module, kind: str, native: Native) -> None:
    """Add `micro`, and `enter` and `leave`, which every thread calls around its work, to `module`."""
    _emit_configuration(module, native)
    b, (pa, pb, pc, row_bytes, steps, accumulate, _tail, _ahead) = function(module, "micro", ARGUMENTS)
    lower = b.add(pc, b.mul(row_bytes, const(_TILE_ROWS)))
    corners = (pc, at(b, pc, _TILE_ROW_BYTES), lower, at(b, lower, _TILE_ROW_BYTES))
    adding, setting, body, done = (b.append_basic_block(name) for name in ("c.add", "c.set", "k.body", "k.done"))
    b.cbranch(b.icmp_signed("!=", accumulate, const(0)), adding, setting)
    b.position_at_end(adding)
    for tile, corner in zip(_C, corners, strict=True):
        native.tile_load(b, tile, corner, row_bytes)
    added = b.block
    b.branch(body)
    b.position_at_end(setting)
    for tile in _C:
        native.tile_zero(b, tile)
    zeroed = b.block
    b.branch(body)

    b.position_at_end(body)
    step, qa, qb, qc = b.phi(I64), b.phi(I64), b.phi(I64), b.phi(I64)
    prefetch(b, qc, write=True)
    a_stride, b_stride = const(_TILE_ROW_BYTES), const(4 * N_R)
    native.tile_load(b, _B[0], qb, b_stride)
    native.tile_load(b, _A[0], qa, a_stride)
    native.tile_dot(b, kind, _C[0], _A[0], _B[0])
    native.tile_load(b, _B[1], at(b, qb, _TILE_ROW_BYTES), b_stride)
    native.tile_dot(b, kind, _C[1], _A[0], _B[1])
    native.tile_load(b, _A[1], at(b, qa, _TILE_ROWS * _TILE_ROW_BYTES), a_stride)
    native.tile_dot(b, kind, _C[2], _A[1], _B[0])
    native.tile_dot(b, kind, _C[3], _A[1], _B[1])
    following = b.add(step, const(1))
    left = b.icmp_signed("==", b.and_(step, const(1)), const(0))
    next_line = b.select(left, const(_TILE_ROW_BYTES), b.sub(row_bytes, const(_TILE_ROW_BYTES)))
    for phi, start, value in (
        (step, const(0), following),
        (qa, pa, at(b, qa, M_R * STEP_BYTES)),
        (qb, pb, at(b, qb, N_R * STEP_BYTES)),
        (qc, pc, b.add(qc, next_line)),
    ):
        phi.add_incoming(start, added)
        phi.add_incoming(start, zeroed)
        phi.add_incoming(value, b.block)
    b.cbranch(b.icmp_signed("<", following, steps), body, done)
    b.position_at_end(done)
    for tile, corner in zip(_C, corners, strict=True):
        native.tile_store(b, tile, corner, row_bytes)
    b.ret_void()


def configuration() -> bytes:
    """What ldtilecfg reads: palette 1, and 64 bytes by 16 rows for each of the eight tiles (Intel SDM, LDTILECFG)."""
    shape = bytearray(64)
    shape[0] = 1
    for tile in range(8):
        shape[16 + 2 * tile] = _TILE_ROW_BYTES
        shape[48 + tile] = _TILE_ROWS
    return bytes(shape)


def _emit_configuration(module: ir.Module, native: Native) -> None:
    kind = ir.ArrayType(I8, 64)
    shapes = ir.GlobalVariable(module, kind, "tile_shapes")
    shapes.initializer = ir.Constant(kind, bytearray(configuration()))
    shapes.global_constant = True
    shapes.linkage = "internal"
    b, _ = function(module, "enter", ())
    native.tile_configure(b, b.ptrtoint(shapes, I64))
    b.ret_void()
    b, _ = function(module, "leave", ())
    native.tile_release(b)
    b.ret_void()
