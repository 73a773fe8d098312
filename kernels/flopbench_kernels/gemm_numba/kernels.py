"""The Numba GEMM as the harness sees it: one class for each precision and accumulator."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from flopbench.errors import BadInput, NotPossible
from flopbench.kernel_api import Comm, GemmOutcome, GemmProblem, Kernel, Settings
from flopbench_kernels.gemm_numba import blocking, isa, microkernels
from flopbench_kernels.gemm_numba.microkernels import MicroKernel
from flopbench_kernels.gemm_numba.multiply import Product, workspace_bytes
from flopbench_kernels.gemm_operands import STORAGE, aligned_empty, initial_c, operands, poison


class GemmNumba(Kernel):
    """C = A B, or C += A B, in our own code. Packing is part of run().

    Settings: threads (default: the machine's usable cores); isa: at most this instruction set, and if the host lacks what the best
    micro-kernel up to it needs, then `why_not` says so rather than fall back in silence.
    """

    routine = "gemm"
    backend = "numba"
    result: ClassVar[str]

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self._at_most = isa.normalised(self.settings.isa)
        threads = self.settings.threads
        if threads is not None and threads < 1:
            raise BadInput(f"threads: got {threads}, needs 1 or more")
        self._product: Product | None = None

    def why_not(self, machine: Any) -> str | None:
        row = self._row(machine)
        if row is not None:
            return isa.why_not(row.isa, machine)
        least = microkernels.least(self.precision, self.accumulator).isa
        return isa.why_not(least, machine) or f"needs {least}, which is above --isa {self._at_most}"

    def memory_bytes(self, problem: GemmProblem) -> int:
        m, n, k, item = problem.m, problem.n, problem.k, np.dtype(STORAGE[self.precision]).itemsize
        c = np.dtype(self.result).itemsize * m * n
        rows = microkernels.rows(self.precision, self.accumulator)
        work = max(workspace_bytes(r, blocking.largest(r, k), m, n) for r in rows)
        return (m * k + k * n) * item + c * (2 if problem.beta else 1) + work

    def setup(self, problem: GemmProblem, comm: Comm, machine: Any) -> None:
        row = self._row(machine)
        if row is None:
            raise NotPossible(f"{self.name} is not possible here: {self.why_not(machine)}")
        threads = self.settings.threads or machine.limits.usable_cores
        self._a, self._b = operands(problem)
        self._c = aligned_empty((problem.m, problem.n), self.result)
        self._c0 = initial_c(problem, self.result)
        block = blocking.choose(row, blocking.caches_of(machine), problem.m, problem.n, problem.k, threads)
        self._passed_over = self._better_than(row, machine)
        self._product = Product(row, block, self._a, self._b, self._c, threads, problem.beta)

    def reset(self) -> None:
        poison(self._c, self._c0)

    def run(self) -> None:
        self._product.run()

    def outcome(self) -> GemmOutcome:
        return GemmOutcome(self._a, self._b, self._c, self.accumulator, self._c0)

    def close(self) -> None:
        if self._product is not None:
            self._product.close()
        self._product = self._a = self._b = self._c = self._c0 = None

    def describe(self) -> dict[str, str]:
        if self._product is None:
            return {}
        row, block = self._product.row, self._product.block
        said = {
            "instruction set": row.isa,
            "micro-kernel": row.label,
            "not used": self._passed_over,
            "blocking": f"m_c {block.m_c}, n_c {block.n_c}, k_c {block.k_c}",
            "result": self.result,
            "threads": str(self._product.threads),
            "loops": self._product.code_origin,
        }
        return {key: value for key, value in said.items() if value}

    def _row(self, machine: Any) -> MicroKernel | None:
        return microkernels.choose(self.precision, self.accumulator, isa.supported(machine), self._at_most)

    def _better_than(self, chosen: MicroKernel, machine: Any) -> str:
        """The micro-kernels that were asked for more, and why they were not taken."""
        more = microkernels.rows(self.precision, self.accumulator)
        more = more[: more.index(chosen)] if self._at_most is None else []
        return "; ".join(f"{row.isa}: {isa.why_not(row.isa, machine)}" for row in more)


class GemmFp64Numba(GemmNumba):
    name = "gemm_fp64_numba"
    precision = "fp64"
    accumulator = "float64"
    result = "float64"
    summary = "FP64 matrix product in our own vector code"
    user_order = 10


class GemmFp32Numba(GemmNumba):
    name = "gemm_fp32_numba"
    precision = "fp32"
    accumulator = "float32"
    result = "float32"
    summary = "FP32 matrix product in our own vector code"
    user_order = 10


class GemmFp16Numba(GemmNumba):
    name = "gemm_fp16_numba"
    precision = "fp16"
    accumulator = "float32"
    result = "float32"
    summary = "FP16 matrix product in our own vector code, summed in FP32"
    user_order = 10


class GemmFp16Acc16Numba(GemmNumba):
    """FP16 arithmetic throughout a block of k; the sums of the blocks are added in FP32."""

    name = "gemm_fp16_numba_acc16"
    precision = "fp16"
    accumulator = "float16"
    result = "float32"
    summary = "FP16 matrix product in FP16 arithmetic (AVX512-FP16): half the accuracy, twice the rate"
    user_order = 30


class GemmBf16Numba(GemmNumba):
    name = "gemm_bf16_numba"
    precision = "bf16"
    accumulator = "float32"
    result = "float32"
    summary = "BF16 matrix product by AMX, AVX512-BF16 or in FP32, summed in FP32"
    user_order = 10


class GemmInt8Numba(GemmNumba):
    name = "gemm_int8_numba"
    precision = "int8"
    accumulator = "int32"
    result = "int32"
    summary = "INT8 matrix product (s8 x s8 in s32, exact) by AMX, VNNI or widening"
    user_order = 10
