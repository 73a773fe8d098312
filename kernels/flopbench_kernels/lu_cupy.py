"""The block-cyclic LU on NVIDIA GPUs, one per rank: matrix on the GPU, panels on the host through pinned memory, MPI through the host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flopbench.errors import BadInput
from flopbench.kernel_api import Comm, LuProblem
from flopbench_kernels.cuda.context import Gpu
from flopbench_kernels.cuda.faults import OutOfDeviceMemory
from flopbench_kernels.cuda.opening import open_gpu, require_arithmetic, why_not
from flopbench_kernels.device.contract import Device
from flopbench_kernels.device.cuda import CudaDevice, stream_bytes
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.kernel import BlockCyclicLu

_STREAMS = 2  # of the factorisation: the update's and the urgent one
_HANDLE_BYTES = (
    64 << 20
)  # cuBLAS's workspace of one handle: 32 MiB on compute capability 9.0, less on others (cuBLAS documentation 12.9)


class LuFp64Cupy(BlockCyclicLu):
    """On GPUs by cuBLAS. `--option oversubscribe=1` lets ranks share a GPU; messages always go through pinned host memory."""

    name = "lu_fp64_cupy"
    backend = "cupy"
    device = "cuda"
    summary = "block-cyclic LU on GPUs, one per rank: update by cuBLAS, panel on the host, look-ahead on two streams"
    user_order = 10

    _gpu: Gpu | None = None
    _free_bytes = 0
    _said: dict[str, str] | None = None

    def why_not(self, machine: Any) -> str | None:
        return why_not(self.precision)

    def memory_bytes(self, problem: LuProblem) -> int:
        """On the GPU: as the block-cyclic LU counts, and what the two streams and their handles take."""
        return super().memory_bytes(problem) + _STREAMS * (stream_bytes() + _HANDLE_BYTES)

    def memory_room(self, comm: Comm) -> tuple[int, str]:
        """What is free on this rank's GPU, less what streams and handles take."""
        gpu = open_gpu(self.settings, comm)
        try:
            return gpu.libraries.free_bytes() - _STREAMS * (stream_bytes() + _HANDLE_BYTES), f"free on {gpu.facts.name}"
        finally:
            gpu.close()

    def setup(self, problem: LuProblem, comm: Comm, machine: Any) -> None:
        """Collective. Raises what `open_gpu` raises, and RunFailed on every rank, with the largest N, if a GPU is too small."""
        staging = self.settings.extra.get("exchange", "staged")
        if staging != "staged":
            raise BadInput(f"--option exchange={staging}; allowed: staged (through pinned host memory)")
        self.close()
        self._gpu = open_gpu(self.settings, comm)
        self._free_bytes = self._gpu.libraries.free_bytes()
        super().setup(problem, comm, machine)

    def make_device(self, threads: int, comm: Comm) -> Device:
        assert self._gpu is not None
        require_arithmetic(self._gpu, self._gpu.lane(), self.precision)
        return CudaDevice(self._gpu)

    def close(self) -> None:
        self._said = self.describe()
        super().close()

    def describe(self) -> dict[str, str]:
        """Of the device; after `close`, what it said before."""
        return super().describe() or self._said or {}

    def _allocate(self, problem: LuProblem, grid: Grid, comm: Comm) -> None:
        try:
            super()._allocate(problem, grid, comm)
        except OutOfDeviceMemory as error:
            raise MemoryError(f"{error}; the largest N that fits is about {self.largest_n(problem)}") from error

    def largest_n(self, problem: LuProblem) -> int:
        """The largest N, with all else as in `problem`, whose share fits into what was free on this GPU before the allocation."""
        low, high = 0, 1 << 24
        while high - low > 1:
            n = (low + high) // 2
            low, high = (n, high) if self.memory_bytes(replace(problem, n=n)) <= self._free_bytes else (low, n)
        return low
