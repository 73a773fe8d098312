"""GEMM as NumPy gives it: BLAS for FP64 and FP32, NumPy's own loops for FP16 and INT8."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from flopbench.errors import BadInput
from flopbench.kernel_api import Comm, GemmOutcome, GemmProblem, Kernel
from flopbench_kernels.gemm_operands import STORAGE, aligned_empty, initial_c, operands, poison


class GemmNumpy(Kernel):
    """C = A B by np.matmul. Equivalent to `np.matmul(a, b, out=c)`; with beta = 1 followed by `c += c0`, as NumPy has no such call.

    FP16: NumPy sums in FP32 and rounds the result to FP16 (numpy/_core/src/umath/matmul.c.src, HALF_matmul_inner_noblas).
    INT8: `dtype=np.int32`, since NumPy would otherwise keep the sums in int8 and let them overflow.
    """

    routine = "gemm"
    backend = "numpy"
    result: ClassVar[str]

    def why_not(self, machine: Any) -> str | None:
        return None

    def memory_bytes(self, problem: GemmProblem) -> int:
        m, n, k, item = problem.m, problem.n, problem.k, np.dtype(STORAGE[self.precision]).itemsize
        c = np.dtype(self.result).itemsize * m * n
        return (m * k + k * n) * item + c * (2 if problem.beta else 1)

    def setup(self, problem: GemmProblem, comm: Comm, machine: Any) -> None:
        self._a, self._b = operands(problem)
        self._c = aligned_empty((problem.m, problem.n), self.result)
        self._c0 = initial_c(problem, self.result)
        self._limit = _thread_limit(self.settings.threads)

    def reset(self) -> None:
        poison(self._c, self._c0)

    def run(self) -> None:
        np.matmul(self._a, self._b, out=self._c, dtype=self.result)
        if self._c0 is not None:
            self._c += self._c0

    def outcome(self) -> GemmOutcome:
        return GemmOutcome(self._a, self._b, self._c, self.accumulator, self._c0)

    def close(self) -> None:
        self._a = self._b = self._c = self._c0 = None
        limit, self._limit = getattr(self, "_limit", None), None
        if limit is not None:
            limit.restore_original_limits()

    def describe(self) -> dict[str, str]:
        return {"numpy": np.__version__, "result": self.result}


def _thread_limit(threads: int | None) -> Any:
    """Hold NumPy's BLAS at `threads`; None leaves it alone. Raises BadInput."""
    if threads is None:
        return None
    if threads < 1:
        raise BadInput(f"threads: got {threads}, needs 1 or more")
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=threads, user_api="blas")


class GemmFp64Numpy(GemmNumpy):
    name = "gemm_fp64_numpy"
    precision = "fp64"
    accumulator = "float64"
    result = "float64"
    summary = "FP64 matrix product by NumPy's BLAS"
    user_order = 20


class GemmFp32Numpy(GemmNumpy):
    name = "gemm_fp32_numpy"
    precision = "fp32"
    accumulator = "float32"
    result = "float32"
    summary = "FP32 matrix product by NumPy's BLAS"
    user_order = 20


class GemmFp16Numpy(GemmNumpy):
    name = "gemm_fp16_numpy"
    precision = "fp16"
    accumulator = "float32"
    result = "float16"
    summary = "FP16 matrix product by NumPy's own loop (no BLAS: slow), summed in FP32, rounded to FP16"
    user_order = 60


class GemmInt8Numpy(GemmNumpy):
    name = "gemm_int8_numpy"
    precision = "int8"
    accumulator = "int32"
    result = "int32"
    summary = "INT8 matrix product by NumPy's own loop over int32 (no BLAS: slow)"
    user_order = 60
