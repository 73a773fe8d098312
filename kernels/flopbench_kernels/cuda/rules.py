"""What cuBLAS documents about a call to gemmEx, cublasLtMatmul or trsm, as code: every call of ours is held against it before it is made.

Sources: cuBLAS documentation 12.9, cublasGemmEx (table of types; pointers, leading dimensions and sizes for CUDA_R_8I; compute capability);
cublas<t>trsm; cublasLtMatmul (what FP8 kernels require); CUDA C++ Programming Guide, "Data alignment". The INT8 sizes are those of the
tensor-core path ("TN"); those of FP8 are the multiples of 16 bytes of "Tensor Core Usage", taken for every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flopbench.errors import BadInput
from flopbench_kernels.cuda import constants as c

INT_MAX = 2**31 - 1

#: (compute type, type of A and B, type of C) -> (NumPy name of alpha and beta, least compute capability)
GEMM_TYPES: dict[tuple[int, int, int], tuple[str, tuple[int, int]]] = {
    (c.COMPUTE_64F, c.R_64F, c.R_64F): ("float64", (5, 0)),
    (c.COMPUTE_32F, c.R_32F, c.R_32F): ("float32", (5, 0)),
    (c.COMPUTE_32F_FAST_TF32, c.R_32F, c.R_32F): ("float32", (8, 0)),
    (c.COMPUTE_32F, c.R_16F, c.R_16F): ("float32", (5, 3)),
    (c.COMPUTE_32F, c.R_16F, c.R_32F): ("float32", (5, 3)),
    (c.COMPUTE_16F, c.R_16F, c.R_16F): ("float16", (5, 3)),
    (c.COMPUTE_32F, c.R_16BF, c.R_16BF): ("float32", (8, 0)),
    (c.COMPUTE_32F, c.R_16BF, c.R_32F): ("float32", (8, 0)),
    (c.COMPUTE_32I, c.R_8I, c.R_32I): ("int32", (7, 2)),
}

#: The same for cublasLtMatmul, where it is called.
LT_TYPES: dict[tuple[int, int, int], tuple[str, tuple[int, int]]] = {
    (c.COMPUTE_32F, c.R_8F_E4M3, c.R_32F): ("float32", (8, 9)),
}


@dataclass(frozen=True)
class GemmCall:
    """C = alpha op(A) op(B) + beta C as cuBLAS takes it: addresses, leading dimensions in elements, enumerators, scalars as 0-d arrays."""

    trans_a: int
    trans_b: int
    m: int
    n: int
    k: int
    alpha: np.ndarray
    a: int
    a_type: int
    lda: int
    b: int
    b_type: int
    ldb: int
    beta: np.ndarray
    c: int
    c_type: int
    ldc: int
    compute: int
    function: str = "cublasGemmEx"

    def __str__(self) -> str:
        op = {c.OP_N: "N", c.OP_T: "T"}
        return (
            f"{self.function} {op.get(self.trans_a, '?')}{op.get(self.trans_b, '?')} m={self.m} n={self.n} k={self.k} "
            f"lda={self.lda} ldb={self.ldb} ldc={self.ldc} types {self.a_type}/{self.c_type} compute {self.compute}"
        )

    def arguments(self) -> tuple[int, ...]:
        """What follows the handle in cupy_backends.cuda.libs.cublas.gemmEx. The scalars must outlive the call."""
        return (
            self.trans_a, self.trans_b, self.m, self.n, self.k, self.alpha.ctypes.data, self.a, self.a_type, self.lda,
            self.b, self.b_type, self.ldb, self.beta.ctypes.data, self.c, self.c_type, self.ldc, self.compute, c.GEMM_DEFAULT,
        )  # fmt: skip


def broken_gemm_rule(call: GemmCall, capability: tuple[int, int]) -> str | None:
    """The first rule of cublasGemmEx that `call` breaks on a GPU of this compute capability, or None."""
    return _broken_rule(call, capability, GEMM_TYPES) or (_broken_int8(call) if call.a_type == c.R_8I else None)


def broken_lt_rule(call: GemmCall, capability: tuple[int, int]) -> str | None:
    """The first rule of cublasLtMatmul for FP8 that `call` breaks on a GPU of this compute capability, or None."""
    return _broken_rule(call, capability, LT_TYPES) or _broken_fp8(call)


def _broken_rule(
    call: GemmCall, capability: tuple[int, int], types: dict[tuple[int, int, int], tuple[str, tuple[int, int]]]
) -> str | None:
    """What holds for every product."""
    kinds = types.get((call.compute, call.a_type, call.c_type))
    if call.a_type != call.b_type or kinds is None:
        return f"no {call.function} takes types {call.a_type} x {call.b_type} -> {call.c_type} with compute type {call.compute}"
    scalar, least = kinds
    if capability < least:
        return f"needs compute capability {least[0]}.{least[1]}, the GPU has {capability[0]}.{capability[1]}"
    for name, value in (("alpha", call.alpha), ("beta", call.beta)):
        if value.dtype != scalar or value.ndim:
            return f"{name} must be one {scalar}, got {value.dtype} of {value.ndim} dimensions"
    if call.trans_a not in (c.OP_N, c.OP_T) or call.trans_b not in (c.OP_N, c.OP_T):
        return f"operations must be N or T, got {call.trans_a} and {call.trans_b}"
    rows = {
        "a": call.m if call.trans_a == c.OP_N else call.k,
        "b": call.k if call.trans_b == c.OP_N else call.n,
        "c": call.m,
    }
    return (
        _broken_sizes(m=call.m, n=call.n, k=call.k)
        or _broken_leading(rows, lda=call.lda, ldb=call.ldb, ldc=call.ldc)
        or _broken_addresses(call)
    )


def broken_trsm_rule(k: int, n: int, triangle: int, ldl: int, b: int, ldb: int) -> str | None:
    """The first rule of cublasDtrsm (left side) that a call breaks, or None. The triangle is k x k, B is k x n."""
    for name, address in (("the triangle", triangle), ("B", b)):
        if address <= 0 or address % 8:
            return f"the address of {name} must be a multiple of 8 bytes, got {address:#x}"
    return _broken_sizes(k=k, n=n) or _broken_leading({"a": k, "b": k}, lda=ldl, ldb=ldb)


def require(call: object, broken: str | None) -> None:
    """Raises BadInput that names the call and the rule it breaks."""
    if broken:
        raise BadInput(f"{call}: {broken}")


def _broken_sizes(**sizes: int) -> str | None:
    for name, value in sizes.items():
        if not 0 <= value <= INT_MAX:
            return f"{name} must be 0 .. {INT_MAX} (a C int), got {value}"
    return None


def _broken_leading(rows: dict[str, int], **leading: int) -> str | None:
    for name, value in leading.items():
        least = max(1, rows[name[-1]])
        if not least <= value <= INT_MAX:
            return f"{name} must be {least} .. {INT_MAX}, got {value}"
    return None


def _broken_addresses(call: GemmCall) -> str | None:
    for name, address, kind in (("A", call.a, call.a_type), ("B", call.b, call.b_type), ("C", call.c, call.c_type)):
        size = np.dtype(c.DATA_TYPE_NUMPY[kind]).itemsize
        if address <= 0 or address % size:
            return f"the address of {name} must be a multiple of {size} bytes, got {address:#x}"
    if call.c in (call.a, call.b) and min(call.m, call.n, call.k) > 0:
        return f"C starts where {'A' if call.c == call.a else 'B'} does; cuBLAS does not multiply in place"
    return None


def _broken_int8(call: GemmCall) -> str | None:
    if (call.trans_a, call.trans_b) != (c.OP_T, c.OP_N):
        return "INT8 on tensor cores takes A transposed and B not (TN)"
    for name, value in (("m", call.m), ("k", call.k), ("lda", call.lda), ("ldb", call.ldb), ("ldc", call.ldc)):
        if value % 4:
            return f"INT8 on tensor cores takes {name} in multiples of 4, got {value}"
    for name, address in (("A", call.a), ("B", call.b), ("C", call.c)):
        if address % 16:
            return f"INT8 on tensor cores takes addresses in multiples of 16 bytes, got {address:#x} for {name}"
    if call.k * 127 * 127 > INT_MAX:
        return f"sums of {call.k} products of 8-bit integers may not fit into 32 bits; k must be at most {INT_MAX // 127**2}"
    return None


def _broken_fp8(call: GemmCall) -> str | None:
    if (call.trans_a, call.trans_b) != (c.OP_T, c.OP_N):
        return "FP8 on tensor cores takes A transposed and B not (TN)"
    for name, value in (
        ("m", call.m),
        ("n", call.n),
        ("k", call.k),
        ("lda", call.lda),
        ("ldb", call.ldb),
        ("ldc", call.ldc),
    ):
        if value % 16:
            return f"FP8 on tensor cores takes {name} in multiples of 16, got {value}"
    for name, address in (("A", call.a), ("B", call.b), ("C", call.c)):
        if address % 16:
            return f"FP8 on tensor cores takes addresses in multiples of 16 bytes, got {address:#x} for {name}"
    return None
