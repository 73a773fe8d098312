"""cublas and cusolver, as far as flopbench calls them, by the processor's BLAS and LAPACK. Signatures are those of CuPy's modules.

Scalars come by address and are read as the compute type has them, so that a scalar of the wrong type gives the wrong number here as there.
Sums are kept as the compute type says; TF32 operands lose the bits that the tensor cores do not look at.
"""

from __future__ import annotations

import itertools

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import column_major, matrix
from flopbench.gpu_selftest.stand_in.schedule import Schedule

_NUMPY = {0: "float32", 1: "float64", 2: "float16", 3: "int8", 10: "int32", 14: "uint16"}  # cudaDataType_t
_SCALAR = {64: "float16", 68: "float32", 70: "float64", 72: "int32", 77: "float32"}  # by cublasComputeType_t


class CublasError(RuntimeError):
    """As cupy_backends.cuda.libs.cublas.CUBLASError: a status and its name."""

    def __init__(self, status: int, name: str) -> None:
        self.status = status
        super().__init__(f"CUBLAS_STATUS_{name}")


def invalid_value() -> CublasError:
    return CublasError(7, "INVALID_VALUE")


class Cublas:
    """The module cupy_backends.cuda.libs.cublas over host memory."""

    CUBLASError = CublasError

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._handles: set[int] = set()
        self._numbers = itertools.count(1001)
        self.math_mode = 0
        self.calls: list[tuple[str, int, int, int, int, int]] = []  # name, m, n, k, address and leading dimension of C
        self.refuse: CublasError | None = None  # raised by the next gemmEx, for tests of the error path

    def create(self) -> int:
        self._schedule.count("cublasCreate")
        handle = next(self._numbers)
        self._handles.add(handle)
        return handle

    def destroy(self, handle: int) -> None:
        self._handles.remove(handle)

    def getMathMode(self, handle: int) -> int:  # noqa: N802 - CuPy's name
        self._known(handle)
        return self.math_mode

    def getVersion(self, handle: int) -> int:  # noqa: N802 - CuPy's name
        self._known(handle)
        return 0

    def gemmEx(  # noqa: N802 - CuPy's name and its order of arguments
        self, handle, transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype, ldc, computeType, algo
    ):  # fmt: skip
        self._known(handle)
        if self.refuse:
            error, self.refuse = self.refuse, None
            raise error
        rows_a, cols_a = (m, k) if transa == 0 else (k, m)
        rows_b, cols_b = (k, n) if transb == 0 else (n, k)
        for rows, ld in ((rows_a, lda), (rows_b, ldb), (m, ldc)):
            if ld < max(1, rows) or rows < 0:
                raise invalid_value()
        self.calls.append(("gemmEx", m, n, k, C, ldc))
        kind_a, kind_b, kind_c = _NUMPY[Atype], _NUMPY[Btype], _NUMPY[Ctype]
        areas = [
            column_major(A, rows_a, cols_a, lda, kind_a),
            column_major(B, rows_b, cols_b, ldb, kind_b),
            column_major(C, m, n, ldc, kind_c),
        ]
        for area in areas:
            self._schedule.arena.check(area, "device", "gemmEx")
        factor, keep = (float(matrix(p, 1, 1, 1, _SCALAR[computeType])[0, 0]) for p in (alpha, beta))

        @np.errstate(all="ignore")  # a GPU does not warn of infinities
        def action() -> None:
            a, b = matrix(A, rows_a, cols_a, lda, kind_a), matrix(B, rows_b, cols_b, ldb, kind_b)
            c = matrix(C, m, n, ldc, kind_c)
            product = _product(a if transa == 0 else a.T, b if transb == 0 else b.T, Atype, computeType)
            kind = product.dtype.type
            result = kind(factor) * product if keep == 0 else kind(factor) * product + kind(keep) * c.astype(kind)
            c[...] = result.astype(kind_c)

        self._schedule.submit(self._stream(), "gemmEx", areas[: 3 if keep else 2], areas[2:], action)

    def dtrsm(self, handle, side, uplo, trans, diag, m, n, alpha, Aarray, lda, Barray, ldb):
        from scipy.linalg import blas

        self._known(handle)
        k = m if side == 0 else n
        if lda < max(1, k) or ldb < max(1, m):
            raise invalid_value()
        areas = [column_major(Aarray, k, k, lda, "float64"), column_major(Barray, m, n, ldb, "float64")]
        for area in areas:
            self._schedule.arena.check(area, "device", "dtrsm")
        factor = float(matrix(alpha, 1, 1, 1, "float64")[0, 0])

        def action() -> None:
            if m and n:
                triangle = np.asfortranarray(matrix(Aarray, k, k, lda, "float64"))
                b = matrix(Barray, m, n, ldb, "float64")
                b[...] = blas.dtrsm(
                    factor, triangle, np.asfortranarray(b), side=side, lower=1 - uplo, trans_a=trans, diag=diag
                )

        self._schedule.submit(self._stream(), "dtrsm", areas, areas[1:], action)

    def _stream(self):
        return self._schedule.stream_of_call("cuBLAS")

    def _known(self, handle: int) -> None:
        if handle not in self._handles:
            raise CublasError(1, "NOT_INITIALIZED")


class CusolverError(RuntimeError):
    """As cupy_backends.cuda.libs.cusolver.CUSOLVERError."""

    def __init__(self, status: int, name: str) -> None:
        self.status = status
        super().__init__(f"CUSOLVER_STATUS_{name}")


class Cusolver:
    """The module cupy_backends.cuda.libs.cusolver over host memory: LU with 1-based pivots, as cuSOLVER gives them."""

    CUSOLVERError = CusolverError

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._handles: set[int] = set()
        self._numbers = itertools.count(2001)

    def create(self) -> int:
        handle = next(self._numbers)
        self._handles.add(handle)
        return handle

    def destroy(self, handle: int) -> None:
        self._handles.remove(handle)

    def dgetrf_bufferSize(self, handle, m, n, A, lda):  # noqa: N802 - CuPy's name
        self._known(handle)
        return max(m, n) * 4

    def dgetrf(self, handle, m, n, A, lda, work, devIpiv, devInfo):
        from scipy.linalg import lapack

        self._known(handle)
        area = column_major(A, m, n, lda, "float64")
        places = [
            area,
            column_major(work, max(m, n) * 4, 1, max(m, n) * 4, "float64"),
            column_major(devIpiv, min(m, n), 1, min(m, n), "int32"),
            column_major(devInfo, 1, 1, 1, "int32"),
        ]
        for place in places:
            self._schedule.arena.check(place, "device", "dgetrf")

        def action() -> None:
            a = matrix(A, m, n, lda, "float64")
            factors, pivots, info = lapack.dgetrf(np.asfortranarray(a))
            a[...] = factors
            matrix(devIpiv, len(pivots), 1, len(pivots), "int32")[:, 0] = pivots + 1
            matrix(devInfo, 1, 1, 1, "int32")[0, 0] = info

        self._schedule.submit(self._schedule.stream_of_call("cuSOLVER"), "dgetrf", places[:1], places, action)

    def dgetrs(self, handle, trans, n, nrhs, A, lda, devIpiv, B, ldb, devInfo):
        from scipy.linalg import lapack

        self._known(handle)
        reads = [column_major(A, n, n, lda, "float64"), column_major(devIpiv, n, 1, n, "int32")]
        writes = [column_major(B, n, nrhs, ldb, "float64"), column_major(devInfo, 1, 1, 1, "int32")]
        for place in reads + writes:
            self._schedule.arena.check(place, "device", "dgetrs")

        def action() -> None:
            pivots = matrix(devIpiv, n, 1, n, "int32")[:, 0] - 1
            b = matrix(B, n, nrhs, ldb, "float64")
            solution, info = lapack.dgetrs(
                np.asfortranarray(matrix(A, n, n, lda, "float64")), pivots, np.asfortranarray(b), trans=trans
            )
            b[...] = solution
            matrix(devInfo, 1, 1, 1, "int32")[0, 0] = info

        self._schedule.submit(self._schedule.stream_of_call("cuSOLVER"), "dgetrs", reads + writes[:1], writes, action)

    def _known(self, handle: int) -> None:
        if handle not in self._handles:
            raise CusolverError(1, "NOT_INITIALIZED")


def _product(a: np.ndarray, b: np.ndarray, kind: int, compute: int) -> np.ndarray:
    """op(A) op(B) with the operands and the accumulator that the types ask for."""
    if compute == 70:
        return a @ b
    if compute == 72:
        return a.astype(np.int32) @ b.astype(np.int32)
    if compute == 64:  # every partial sum is rounded to half
        total = np.zeros((a.shape[0], b.shape[1]), np.float16)
        for p in range(a.shape[1]):
            total = (total.astype(np.float32) + np.outer(a[:, p].astype(np.float32), b[p].astype(np.float32))).astype(
                np.float16
            )
        return total
    a, b = (_as_float(x, kind) for x in (a, b))
    if compute == 77:
        a, b = (_tf32(x) for x in (a, b))
    return a @ b


def _as_float(x: np.ndarray, kind: int) -> np.ndarray:
    return (x.astype(np.uint32) << 16).view(np.float32) if kind == 14 else x.astype(np.float32)


def _tf32(x: np.ndarray) -> np.ndarray:
    """The operand with 10 stored bits of significand, nearest (ties away from zero)."""
    return ((np.ascontiguousarray(x).view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
