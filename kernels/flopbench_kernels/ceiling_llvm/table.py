"""The loops: which instruction set, which precision, which instruction. Within a precision the widest comes first."""

from __future__ import annotations

from dataclasses import dataclass

from flopbench.kernel_api import CeilingLoop
from flopbench_kernels.ceiling_llvm.amx import amx_loops
from flopbench_kernels.ceiling_llvm.steps import Arithmetic, accumulated, dot, fused, integer, pairs, quads, separate
from flopbench_kernels.ceiling_llvm.text import Vector
from flopbench_kernels.ceiling_llvm.vector_loop import VectorLoop

_BITS = {"double": 64, "float": 32, "half": 16}
_ELEMENT = {"fp64": "double", "fp32": "float", "fp16": "half"}

#: What a precision without arithmetic of its own is computed with.
_WIDENED = {
    "fp16": "this processor has no FP16 arithmetic; FP16 operands are widened and computed by its FP32 units",
    "bf16": "this processor has no BF16 arithmetic; BF16 operands are widened and computed by its FP32 units",
}


_Flags = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Isa:
    """One instruction set: register width, flags per precision, chains that fit its registers, the instruction as assembled.

    Chains cover latency x units (at most 4 x 4 on today's processors, 9 x 2 on A64FX) within the registers: 16 with AVX, 32 else.
    """

    name: str
    bits: int
    flags: _Flags
    superseded: tuple[str, ...]
    chains: int
    instruction: str
    scalable: bool = False

    def vector(self, precision: str) -> Vector:
        element = _ELEMENT[precision]
        return Vector(self.bits // _BITS[element], element, self.scalable)


def _flags(*names: str, fp16: str | None = None) -> _Flags:
    """The same flags for FP64 and FP32; FP16 only where it has a flag of its own."""
    return {"fp64": names, "fp32": names, **({"fp16": (fp16,)} if fp16 else {})}


_FUSED = (
    _Isa("avx512", 512, _flags("avx512f", fp16="avx512_fp16"), (), 24, r"vfmadd\d+p[sdh]\s.*%zmm"),
    _Isa("sve", 128, _flags("sve", fp16="sve"), (), 24, r"fml[as]\s+z|fmad\s+z", scalable=True),
    _Isa("avx2", 256, _flags("avx2", "fma"), (), 12, r"vfmadd\d+p[sd]\s.*%ymm"),
)

_ACCUMULATED = (
    _Isa("neon", 128, _flags("asimd", fp16="asimdhp"), (), 24, r"fml[as]\s+v"),
    _Isa("vsx", 128, _flags("vsx"), (), 24, r"xv(madd|nmsub)a[sd]p"),
)

_SEPARATE = (
    _Isa("avx", 256, _flags("avx"), ("fma",), 12, r"vmulp[sd]\s.*%ymm|vfmaddp[sd]\s.*%ymm"),
    _Isa("generic", 128, _flags(), ("avx", "asimd", "vsx"), 8, ""),
)


def _dots() -> list[tuple[str, str, tuple[str, ...], tuple[str, ...], int, str, Arithmetic]]:
    """(name, precision, flags, superseded, chains, instruction, arithmetic) of the instructions for int8 and bfloat16."""
    x86, arm, sve = "llvm.x86.avx512.", "llvm.aarch64.neon.", "llvm.aarch64.sve."
    z4, z16 = Vector(4, "i32", True), Vector(16, "i8", True)
    v4, v8, v16 = (Vector(n, "i32") for n in (4, 8, 16))
    b16, bf8 = Vector(16, "i8"), Vector(8, "bfloat")
    vnni = ("avx512_vnni", "avx_vnni")
    return [
        ("avx512_vnni", "int8", ("avx512_vnni",), (), 24, r"vpdpbusd\s.*%zmm", dot(v16, v16, x86 + "vpdpbusd.512", 4)),
        ("avx_vnni", "int8", ("avx_vnni",), (), 12, r"vpdpbusd\s.*%ymm", dot(v8, v8, x86 + "vpdpbusd.256", 4)),
        (
            "avx512bw_u8", "int8", ("avx512bw",), vnni, 24, r"vpmaddubsw\s.*%zmm",
            quads(v16, x86 + "pmaddubs.w.512", x86 + "pmaddw.d.512"),
        ),
        ("avx512bw", "int8", ("avx512bw",), vnni, 24, r"vpmaddwd\s.*%zmm", pairs(v16, x86 + "pmaddw.d.512")),
        (
            "avx2_u8", "int8", ("avx2",), vnni, 12, r"vpmaddubsw\s.*%ymm",
            quads(v8, "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"),
        ),
        ("avx2", "int8", ("avx2",), vnni, 12, r"vpmaddwd\s.*%ymm", pairs(v8, "llvm.x86.avx2.pmadd.wd")),
        ("sse2", "int8", ("sse2",), ("avx2",), 8, r"pmaddwd\s.*%xmm", pairs(v4, "llvm.x86.sse2.pmadd.wd")),
        ("sve_i8mm", "int8", ("svei8mm",), (), 24, r"smmla\s+z", dot(z4, z16, sve + "smmla.nxv4i32", 8)),
        ("neon_i8mm", "int8", ("i8mm",), (), 24, r"smmla\s+v", dot(v4, b16, arm + "smmla.v4i32.v16i8", 8)),
        ("sve", "int8", ("sve",), ("i8mm",), 24, r"sdot\s+z", dot(z4, z16, sve + "sdot.nxv4i32", 4)),
        ("neon_dotprod", "int8", ("asimddp",), ("i8mm",), 24, r"sdot\s+v", dot(v4, b16, arm + "sdot.v4i32.v16i8", 4)),
        ("generic", "int8", (), ("sse2", "asimddp", "sve"), 8, "", integer(v4)),
        (
            "avx512_bf16", "bf16", ("avx512_bf16",), (), 24, r"vdpbf16ps\s.*%zmm",
            dot(Vector(16, "float"), Vector(32, "bfloat"), "llvm.x86.avx512bf16.dpbf16ps.512", 2, float_operands=True),
        ),
        (
            "neon_bf16", "bf16", ("bf16",), (), 24, r"bfmmla\s+v",
            dot(Vector(4, "float"), bf8, arm + "bfmmla", 4, float_operands=True),
        ),
    ]  # fmt: skip


def loops() -> list[CeilingLoop]:
    """Every loop, for the entry point group `flopbench.ceilings`."""
    vectors: list[VectorLoop] = []
    for make, instruction_sets in ((fused, _FUSED), (accumulated, _ACCUMULATED), (separate, _SEPARATE)):
        for isa in instruction_sets:
            for precision, flags in isa.flags.items():
                arithmetic = make(isa.vector(precision))
                vectors.append(
                    VectorLoop(isa.name, precision, flags, isa.superseded, isa.chains, isa.instruction, arithmetic)
                )
    vectors += [VectorLoop(*row) for row in _dots()]
    stand_ins = [
        loop.standing_in(precision, reason)
        for precision, reason in _WIDENED.items()
        for loop in vectors
        if loop.precision == "fp32"
    ]
    return [*amx_loops(), *vectors, *stand_ins]
