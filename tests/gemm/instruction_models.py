"""What the dot-product and tile instructions do, in plain LLVM IR: for processors that lack them.

After the operation sections of VPDPBUSD, VPMADDWD, VDPBF16PS, TDPBSSD, TDPBF16PS, TDPFP16PS, TILELOADD, TILESTORED in the Intel 64 and
IA-32 Architectures Software Developer's Manual, volume 2. Tile registers are bytes in memory, so that one thread only may use them.
"""

from __future__ import annotations

from flopbench_kernels.gemm_numba.vector_ir import (
    FLOAT,
    HALF,
    I8,
    I16,
    I32,
    I64,
    const,
    load,
    loop,
    multiply_add,
    shuffle,
    splat,
    store,
    zero,
)
from llvmlite import ir

_TILE_BYTES = 1024
_ROW = ir.VectorType(I32, 16)


class Model:
    """The methods of instructions.Native."""

    def dot_s16(self, b, sums, x, y):
        return self._dot(b, sums, x, y, I16, unsigned=False)

    def dot_us8(self, b, sums, unsigned, signed):
        return self._dot(b, sums, unsigned, signed, I8, unsigned=True)

    def dot_bf16(self, b, sums, x, y):
        return self._dot_floats(b, sums, x, y, _upper_half)

    def tile_configure(self, b, address):
        """The shapes become the first bytes of tile 7: a test can see that they were passed."""
        store(b, load(b, address, ir.VectorType(I8, 64), 1), self._tile(b, 7), 1)

    def tile_release(self, b):
        pass

    def tile_zero(self, b, tile):
        with loop(b, const(0), const(_TILE_BYTES), 64, "row") as offset:
            store(b, zero(_ROW), b.add(self._tile(b, tile), offset), 4)

    def tile_load(self, b, tile, address, stride):
        with loop(b, const(0), const(16), 1, "row") as row:
            source = b.add(address, b.mul(row, stride))
            store(b, load(b, source, _ROW, 1), b.add(self._tile(b, tile), b.mul(row, const(64))), 4)

    def tile_store(self, b, tile, address, stride):
        with loop(b, const(0), const(16), 1, "row") as row:
            target = b.add(address, b.mul(row, stride))
            store(b, load(b, b.add(self._tile(b, tile), b.mul(row, const(64))), _ROW, 4), target, 1)

    def tile_dot(self, b, kind, sums, x, y):
        with loop(b, const(0), const(16), 1, "i") as i, loop(b, const(0), const(16), 1, "q") as q:
            line = b.add(self._tile(b, sums), b.mul(i, const(64)))
            unit = b.add(b.add(self._tile(b, x), b.mul(i, const(64))), b.mul(q, const(4)))
            left = splat(b, load(b, unit, I32, 4), 16)
            right = load(b, b.add(self._tile(b, y), b.mul(q, const(64))), _ROW, 4)
            if kind == "s8":
                total = self._dot(b, load(b, line, _ROW, 4), left, right, I8, unsigned=False)
            else:
                widen = {"bf16": _upper_half, "fp16": _from_half}[kind]
                total = self._dot_floats(b, load(b, line, ir.VectorType(FLOAT, 16), 4), left, right, widen)
            store(b, total, line, 4)

    def _dot(self, b, sums, x, y, element, unsigned):
        parts = 4 if element is I8 else 2
        lanes = sums.type.count
        narrow, wide = ir.VectorType(element, parts * lanes), ir.VectorType(I32, parts * lanes)
        left = (b.zext if unsigned else b.sext)(b.bitcast(x, narrow), wide)
        products = b.mul(left, b.sext(b.bitcast(y, narrow), wide))
        for part in range(parts):
            sums = b.add(sums, shuffle(b, products, products, range(part, parts * lanes, parts)))
        return sums

    def _dot_floats(self, b, sums, x, y, widen):
        for odd in (True, False):
            sums = multiply_add(b, widen(b, x, odd), widen(b, y, odd), sums)
        return sums

    def _tile(self, b, tile):
        kind = ir.ArrayType(I8, 8 * _TILE_BYTES)
        tiles = b.module.globals.get("tiles")
        if tiles is None:
            tiles = ir.GlobalVariable(b.module, kind, "tiles")
            tiles.initializer = ir.Constant(kind, bytearray(8 * _TILE_BYTES))
            tiles.align = 64
        return b.add(b.ptrtoint(tiles, I64), const(tile * _TILE_BYTES))


def _constant(vector, value):
    return ir.Constant(vector, [value] * vector.count)


def _upper_half(b, pairs, odd):
    """bfloat16 number 1 (odd) or 0 of each 32-bit lane as FP32."""
    kind = pairs.type
    bits = b.and_(pairs, _constant(kind, -65536)) if odd else b.shl(pairs, _constant(kind, 16))
    return b.bitcast(bits, ir.VectorType(FLOAT, kind.count))


def _from_half(b, pairs, odd):
    """FP16 number 1 (odd) or 0 of each 32-bit lane as FP32."""
    count = pairs.type.count
    halves = b.bitcast(pairs, ir.VectorType(HALF, 2 * count))
    return b.fpext(shuffle(b, halves, halves, range(int(odd), 2 * count, 2)), ir.VectorType(FLOAT, count))
