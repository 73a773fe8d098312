"""GEMM by any BLAS library, called through ctypes: FP64 and FP32 everywhere, lower precisions where the library exports a call for them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from flopbench.errors import BadInput
from flopbench.kernel_api import Comm, GemmOutcome, GemmProblem, Kernel, Settings
from flopbench_kernels import blas_library
from flopbench_kernels.gemm_operands import STORAGE, aligned_empty, initial_c, operands, poison

_COLUMN_MAJOR, _NO_TRANSPOSE, _FIXED_OFFSET = 102, 111, 173  # cblas.h; mkl_cblas.h
_INT, _WIDE, _POINTER, _BYTE = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int8


class GemmCblas(Kernel):
    """C = A B (+ C) by a BLAS library named with --blas or FLOPBENCH_BLAS.

    Our row-major C = A B is the column-major C' = B' A', which every library can do without transposing: B is passed first.
    `routines` lists the names of the call, the preferred one first.
    """

    routine = "gemm"
    backend = "cblas"
    result: ClassVar[str]
    routines: ClassVar[tuple[str, ...]]
    user_order = 30

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        threads = self.settings.threads
        if threads is not None and threads < 1:
            raise BadInput(f"threads: got {threads}, needs 1 or more")
        name = blas_library.named(self.settings.blas)
        self._library = blas_library.load(*name) if name else None
        self._routine = self._library.routine(*self.routines) if self._library else None
        self._limit: Any = None

    def why_not(self, machine: Any) -> str | None:
        if self._library is None:
            return f"needs a BLAS library: name one with --blas PATH or {blas_library.VARIABLE}"
        if self._routine is None:
            return f"{self._library.path} exports no {' or '.join(self.routines)}"
        return None

    def memory_bytes(self, problem: GemmProblem) -> int:
        m, n, k, item = problem.m, problem.n, problem.k, np.dtype(STORAGE[self.precision]).itemsize
        c = np.dtype(self.result).itemsize * m * n
        return (m * k + k * n) * item + c * (2 if problem.beta else 1)

    def setup(self, problem: GemmProblem, comm: Comm, machine: Any) -> None:
        from threadpoolctl import threadpool_limits

        self._a, self._b = operands(problem)
        self._c = aligned_empty((problem.m, problem.n), self.result)
        self._c0 = initial_c(problem, self.result)
        self._call = self._bind(problem)
        self._library.three_times_five()  # so that the threads which are to be limited are there
        self._limit = threadpool_limits(limits=self.settings.threads)

    def reset(self) -> None:
        poison(self._c, self._c0)

    def run(self) -> None:
        self._call()

    def outcome(self) -> GemmOutcome:
        return GemmOutcome(self._a, self._b, self._c, self.accumulator, self._c0)

    def close(self) -> None:
        self._a = self._b = self._c = self._c0 = self._call = None
        if self._limit is not None:
            self._limit.restore_original_limits()
            self._limit = None

    def describe(self) -> dict[str, str]:
        if self._routine is None:
            return {}
        return {"library": self._library.path, "symbol": self._routine[0], "result": self.result}

    def _bind(self, problem: GemmProblem) -> Callable[[], None]:
        """The call with all its arguments."""
        symbol, function = self._routine
        m, n, k = (_WIDE(size) for size in (problem.m, problem.n, problem.k))
        one, beta = self._scalar(1), self._scalar(problem.beta)
        a, b, c = (_POINTER(x.ctypes.data) for x in (self._a, self._b, self._c))
        function.restype = None
        if "cblas_" not in symbol:
            plain = ctypes.c_char_p(b"N")
            rest = [ctypes.byref(x) for x in (n, m, k, one)]
            size = ctypes.c_size_t(1)  # of each character argument, as Fortran compilers pass it
            last = (b, ctypes.byref(n), a, ctypes.byref(k), ctypes.byref(beta), c, ctypes.byref(n), size, size)
            return lambda: function(plain, plain, *rest, *last)
        start = (_INT(_COLUMN_MAJOR), _INT(_NO_TRANSPOSE), _INT(_NO_TRANSPOSE), n, m, k)
        return lambda: function(*start, one, b, n, a, k, beta, c, n)

    def _scalar(self, value: int) -> Any:
        """alpha or beta as the call takes it."""
        return ctypes.c_float(value)


class GemmFp64Cblas(GemmCblas):
    name = "gemm_fp64_cblas"
    precision = "fp64"
    accumulator = "float64"
    result = "float64"
    routines = ("cblas_dgemm", "dgemm_")
    summary = "FP64 matrix product by any BLAS library (--blas)"

    def _scalar(self, value: int) -> Any:
        return ctypes.c_double(value)


class GemmFp32Cblas(GemmCblas):
    name = "gemm_fp32_cblas"
    precision = "fp32"
    accumulator = "float32"
    result = "float32"
    routines = ("cblas_sgemm", "sgemm_")
    summary = "FP32 matrix product by any BLAS library (--blas)"


class GemmBf16Cblas(GemmCblas):
    """MKL: cblas_gemm_bf16bf16f32; OpenBLAS: cblas_sbgemm. Both return FP32."""

    name = "gemm_bf16_cblas"
    precision = "bf16"
    accumulator = "float32"
    result = "float32"
    routines = ("cblas_gemm_bf16bf16f32", "cblas_sbgemm")
    summary = "BF16 matrix product, FP32 result, where the BLAS library has it"


class GemmFp16Cblas(GemmCblas):
    """MKL: cblas_gemm_f16f16f32; OpenBLAS: cblas_shgemm. Both return FP32."""

    name = "gemm_fp16_cblas"
    precision = "fp16"
    accumulator = "float32"
    result = "float32"
    routines = ("cblas_gemm_f16f16f32", "cblas_shgemm")
    summary = "FP16 matrix product, FP32 result, where the BLAS library has it"


class GemmFp16Acc16Cblas(GemmCblas):
    """cblas_hgemm of MKL and ArmPL: FP16 in and out. The libraries do not say in what they sum, so the check allows FP16 sums."""

    name = "gemm_fp16_cblas_acc16"
    precision = "fp16"
    accumulator = "float16"
    result = "float16"
    routines = ("cblas_hgemm",)
    summary = "FP16 matrix product, FP16 result (hgemm), where the BLAS library has it"
    user_order = 40

    def _scalar(self, value: int) -> Any:
        return ctypes.c_uint16(int(np.float16(value).view(np.uint16)))


class GemmInt8Cblas(GemmCblas):
    """s8 x s8 by MKL's integer calls. Where only s8 x u8 is exported, A goes in as a + 128 with an offset of -128.

    That shift is part of run(): the operands are s8.
    """

    name = "gemm_int8_cblas"
    precision = "int8"
    accumulator = "int32"
    result = "int32"
    routines = ("cblas_gemm_s8s8s32", "cblas_gemm_s8u8s32")
    summary = "INT8 matrix product, INT32 result, where the BLAS library has it"

    def memory_bytes(self, problem: GemmProblem) -> int:
        return super().memory_bytes(problem) + problem.m * problem.k

    def _bind(self, problem: GemmProblem) -> Callable[[], None]:
        symbol, function = self._routine
        m, n, k = (_WIDE(size) for size in (problem.m, problem.n, problem.k))
        shifted = self._a if "s8s8" in symbol else aligned_empty(self._a.shape, np.uint8)
        offset = _BYTE(0 if "s8s8" in symbol else -128)
        nothing = np.zeros(1, dtype=np.int32)
        function.restype = None
        start = (_INT(_COLUMN_MAJOR), _INT(_NO_TRANSPOSE), _INT(_NO_TRANSPOSE), _INT(_FIXED_OFFSET), n, m, k)
        first = (self._scalar(1), _POINTER(self._b.ctypes.data), n, _BYTE(0))
        second = (_POINTER(shifted.ctypes.data), k, offset, self._scalar(problem.beta))
        last = (_POINTER(self._c.ctypes.data), n, _POINTER(nothing.ctypes.data))

        def call() -> None:
            if shifted is not self._a:
                np.bitwise_xor(self._a.view(np.uint8), np.uint8(0x80), out=shifted)
            function(*start, *first, *second, *last)

        call.keep = nothing  # the pointer in `last` is to it
        return call
