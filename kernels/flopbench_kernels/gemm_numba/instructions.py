"""The processor's own dot products and matrix tiles, as LLVM names them.

Tests put a model in the place of `NATIVE`, with the same methods in plain LLVM IR, so that the micro-kernels around these instructions run
on processors that lack them.
"""

from __future__ import annotations

from llvmlite import ir

from flopbench_kernels.gemm_numba.vector_ir import I8, I16, I64, VOID, const, intrinsic


class Native:
    """Each method emits one instruction (s16 pairs: two)."""

    def dot_s16(self, b: ir.IRBuilder, sums: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
        """sums + x0 y0 + x1 y1 for pairs of s16 in each 32-bit lane. vpmaddwd, vpaddd; cannot overflow for values of s8."""
        lanes = x.type.count
        pairs = ir.VectorType(I16, 2 * lanes)
        name = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}[lanes]
        fn = intrinsic(b, name, x.type, [pairs, pairs])
        return b.add(sums, b.call(fn, [b.bitcast(x, pairs), b.bitcast(y, pairs)]))

    def dot_us8(self, b: ir.IRBuilder, sums: ir.Value, unsigned: ir.Value, signed: ir.Value) -> ir.Value:
        """sums + four products u8 x s8 in each 32-bit lane, modulo 2^32. vpdpbusd."""
        name = f"llvm.x86.avx512.vpdpbusd.{32 * sums.type.count}"
        return b.call(intrinsic(b, name, sums.type, [sums.type] * 3), [sums, unsigned, signed])

    def dot_bf16(self, b: ir.IRBuilder, sums: ir.Value, x: ir.Value, y: ir.Value) -> ir.Value:
        """sums + x0 y0 + x1 y1 for pairs of bfloat16 in each 32-bit lane. vdpbf16ps (subnormals count as zero)."""
        name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * sums.type.count}"
        return b.call(intrinsic(b, name, sums.type, [sums.type, x.type, y.type]), [sums, x, y])

    def tile_configure(self, b: ir.IRBuilder, address: ir.Value) -> None:
        """Shapes of the tile registers from the 64 bytes at `address`. ldtilecfg."""
        pointer = b.inttoptr(address, I8.as_pointer())
        b.call(intrinsic(b, "llvm.x86.ldtilecfg", VOID, [pointer.type]), [pointer])

    def tile_release(self, b: ir.IRBuilder) -> None:
        """Give the tile registers back. tilerelease."""
        b.call(intrinsic(b, "llvm.x86.tilerelease", VOID, []), [])

    def tile_zero(self, b: ir.IRBuilder, tile: int) -> None:
        b.call(intrinsic(b, "llvm.x86.tilezero", VOID, [I8]), [const(tile, I8)])

    def tile_load(self, b: ir.IRBuilder, tile: int, address: ir.Value, stride: ir.Value) -> None:
        """16 rows of 64 bytes, `stride` bytes apart. tileloadd."""
        self._tile_memory(b, "llvm.x86.tileloadd64", tile, address, stride)

    def tile_store(self, b: ir.IRBuilder, tile: int, address: ir.Value, stride: ir.Value) -> None:
        self._tile_memory(b, "llvm.x86.tilestored64", tile, address, stride)

    def tile_dot(self, b: ir.IRBuilder, kind: str, sums: int, x: int, y: int) -> None:
        """sums += x y: s8 in fours ("s8"), bfloat16 in pairs ("bf16"), FP16 in pairs ("fp16"). tdpbssd, tdpbf16ps, tdpfp16ps."""
        name = {"s8": "llvm.x86.tdpbssd", "bf16": "llvm.x86.tdpbf16ps", "fp16": "llvm.x86.tdpfp16ps"}[kind]
        b.call(intrinsic(b, name, VOID, [I8, I8, I8]), [const(tile, I8) for tile in (sums, x, y)])

    def _tile_memory(self, b: ir.IRBuilder, name: str, tile: int, address: ir.Value, stride: ir.Value) -> None:
        pointer = b.inttoptr(address, I8.as_pointer())
        b.call(intrinsic(b, name, VOID, [I8, pointer.type, I64]), [const(tile, I8), pointer, stride])


NATIVE = Native()
