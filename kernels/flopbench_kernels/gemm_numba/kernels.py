"""The Numba GEMM as the harness sees it: one class for each precision and accumulator."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from flopbench.errors import BadInput
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
        isa.check_name(self.settings.isa)
        threads = self.settings.threads
        if threads is not None and threads < 1:
            raise BadInput(f"threads: got {threads}, needs 1 or more")
        self._product: Product | None = None

    def why_not(self, machine: Any) -> str | None:
        row = self._row(machine) or microkernels.least(self.precision, self.accumulator)
        lacking = isa.missing(row.isa, machine)
        return f"needs {', '.join(lacking)}" if lacking else None

    def memory_bytes(self, problem: GemmProblem) -> int:
        m, n, k, item = problem.m, problem.n, problem.k, np.dtype(STORAGE[self.precision]).itemsize
        c = np.dtype(self.result).itemsize * m * n
        rows = microkernels.rows(self.precision, self.accumulator)
        work = max(workspace_bytes(r, blocking.largest(r, k), m, n) for r in rows)
        return (m * k + k * n) * item + c * (2 if problem.beta else 1) + work

    def setup(self, problem: GemmProblem, comm: Comm, machine: Any) -> None:
        row = self._row(machine)
        assert row is not None, "why_not is asked before setup"
        threads = self.settings.threads or machine.limits.usable_cores
        self._a, self._b = operands(problem)
        self._c = aligned_empty((problem.m, problem.n), self.result)
        self._c0 = initial_c(problem, self.result)
        caches = blocking.caches_of(machine)
        block = blocking.choose(row, caches, problem.m, problem.n, problem.k)
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
        return {
            "instruction set": row.isa,
            "micro-kernel": row.label,
            "blocking": f"m_c {block.m_c}, n_c {block.n_c}, k_c {block.k_c}",
            "result": self.result,
            "threads": str(self._product.threads),
            "loops": self._product.code_origin,
        }

    def _row(self, machine: Any) -> MicroKernel | None:
        return microkernels.choose(self.precision, self.accumulator, isa.supported(machine), self.settings.isa)


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
