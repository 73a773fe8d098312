"""LU on one GPU by cuSOLVER's getrf and getrs: a second opinion beside the block-cyclic LU, and what most programs would call."""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench.errors import RunFailed
from flopbench.kernel_api import Comm, Kernel, LuOutcome, LuProblem
from flopbench_kernels.cuda import constants as const
from flopbench_kernels.cuda.faults import OutOfDeviceMemory
from flopbench_kernels.cuda.matrix import leading_dimension
from flopbench_kernels.cuda.opening import describe, open_gpu, require_arithmetic, why_not
from flopbench_kernels.device.cuda import CudaDevice, CudaStream, stream_bytes

_WORKSPACE_SHARE = 0.05  # of the matrix: an allowance for getrf's workspace, whose size only cuSOLVER knows


class LuCusolver(Kernel):
    """Solve A x = b with the matrix resident on the GPU. Equivalent to scipy.linalg.lu_factor and lu_solve. [A | b] is n x (n+1)."""

    name = "lu_fp64_cusolver"
    routine = "lu"
    precision = "fp64"
    backend = "cusolver"
    device = "cuda"
    summary = "LU on one GPU by cuSOLVER's getrf: the second opinion"
    user_order = 60

    def why_not(self, machine: Any) -> str | None:
        return why_not(self.precision)

    def memory_bytes(self, problem: LuProblem) -> int:
        matrix = 8 * leading_dimension(const.R_64F, problem.n) * (problem.n + 1)
        return int(matrix * (1 + _WORKSPACE_SHARE)) + stream_bytes()

    def memory_room(self, comm: Comm) -> tuple[int, str]:
        """What is free on the GPU, less the workspace of getrf and what the stream takes."""
        gpu = open_gpu(self.settings, comm)
        try:
            return int(
                gpu.libraries.free_bytes() * (1 - _WORKSPACE_SHARE)
            ) - stream_bytes(), f"free on {gpu.facts.name}"
        finally:
            gpu.close()

    def setup(self, problem: LuProblem, comm: Comm, machine: Any) -> None:
        self._problem = problem
        n = problem.n
        self._ld = leading_dimension(const.R_64F, n)
        self._gpu = open_gpu(self.settings, comm)
        self._device = CudaDevice(self._gpu)
        self._stream: CudaStream = self._device.stream()
        require_arithmetic(self._gpu, self._stream.lane, self.precision)
        solver = self._gpu.libraries.cusolver
        self._handle = self._gpu.call("cusolverDnCreate", solver.create)
        try:
            self._matrix = self._gpu.allocate(8 * self._ld * (n + 1), f"the matrix of N = {n}")
            size = self._gpu.call(
                f"cusolverDnDgetrf_bufferSize n={n}", solver.dgetrf_bufferSize, self._handle, n, n, self._matrix.ptr, self._ld
            )  # fmt: skip
            self._work = self._gpu.allocate(8 * max(size, 1), f"the workspace of getrf for N = {n}")
            self._pivots = self._gpu.allocate(4 * n, "the pivots")
            self._info = self._gpu.allocate(8, "getrf's info")
        except OutOfDeviceMemory as error:
            self._drop()
            largest = self._largest_n(self._gpu.libraries.free_bytes())
            raise OutOfDeviceMemory(f"{error}; the largest N that fits is about {largest}") from error

    def reset(self) -> None:
        n = self._problem.n
        self._device.fill(self._stream, self._problem.matrix, n, n + 1, 0, 0, self._matrix.ptr, self._ld)
        self._gpu.wait(self._stream.lane.stream, f"generating the matrix of N = {n}")

    def run(self) -> None:
        n, base = self._problem.n, self._matrix.ptr
        solver, lane = self._gpu.libraries.cusolver, self._stream.lane
        b = base + 8 * n * self._ld
        with lane.stream:
            self._gpu.call(
                f"cusolverDnDgetrf m={n} n={n} lda={self._ld}", solver.dgetrf,
                self._handle, n, n, base, self._ld, self._work.ptr, self._pivots.ptr, self._info.ptr,
            )  # fmt: skip
            self._gpu.call(
                f"cusolverDnDgetrs n={n} nrhs=1 lda={self._ld}", solver.dgetrs,
                self._handle, const.OP_N, n, 1, base, self._ld, self._pivots.ptr, b, self._ld, self._info.ptr + 4,
            )  # fmt: skip
        self._gpu.wait(lane.stream, f"cusolverDnDgetrf and Dgetrs n={n}")

    def outcome(self) -> LuOutcome:
        n, lane = self._problem.n, self._stream.lane
        factored, solved = self._gpu.download(lane, self._info.ptr, 2, 1, 2, "int32")[:, 0]
        if factored < 0 or solved < 0:
            raise RunFailed(f"cuSOLVER calls argument {-min(factored, solved)} of getrf or getrs illegal (N = {n})")
        x = self._gpu.download(lane, self._matrix.ptr + 8 * n * self._ld, n, 1, self._ld, "float64")[:, 0]
        return LuOutcome(x=np.ascontiguousarray(x), singular=bool(factored > 0))

    def close(self) -> None:
        device, self._device = getattr(self, "_device", None), None
        if device is None:
            return
        self._said = self.describe()
        self._drop()
        self._gpu.call("cusolverDnDestroy", self._gpu.libraries.cusolver.destroy, self._handle)
        device.close()

    def describe(self) -> dict[str, str]:
        if getattr(self, "_gpu", None) is None:
            return {}
        return {"call": "cusolverDnDgetrf, cusolverDnDgetrs", **describe(self._gpu)}

    def _drop(self) -> None:
        self._matrix = self._work = self._pivots = self._info = None

    def _largest_n(self, free: int) -> int:
        low, high = 0, 1 << 20
        while high - low > 1:
            n = (low + high) // 2
            needed = int(8 * leading_dimension(const.R_64F, n) * (n + 1) * (1 + _WORKSPACE_SHARE))
            low, high = (n, high) if needed <= free else (low, n)
        return low
