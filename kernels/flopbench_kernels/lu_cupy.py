"""The block-cyclic LU on NVIDIA GPUs, one per rank: matrix on the GPU; panels and messages through pinned host memory, or on the GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flopbench.errors import BadInput
from flopbench.kernel_api import Comm, LuProblem, LuTuning
from flopbench_kernels.cuda import cuda_aware, nccl_wire
from flopbench_kernels.cuda.context import Gpu
from flopbench_kernels.cuda.faults import OutOfDeviceMemory
from flopbench_kernels.cuda.nccl_wire import NcclWire
from flopbench_kernels.cuda.opening import open_gpu, require_arithmetic, why_not
from flopbench_kernels.device.contract import Device
from flopbench_kernels.device.cuda import CudaDevice, stream_bytes
from flopbench_kernels.device.cuda_panel import panel_bytes
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.kernel import BlockCyclicLu
from flopbench_kernels.lu_blockcyclic.panel_resident import Residence
from flopbench_kernels.lu_blockcyclic.wire import MpiWire, Wire

#: --option NAME=VALUE; the first value is the default
OPTIONS: dict[str, tuple[str, ...]] = {
    "panel": ("device", "host"),
    "exchange": ("staged", "cuda-aware", "nccl"),
    "oversubscribe": ("0", "1"),
}

NBMIN = 16  # of panels on the GPU unless the user names one: below it a column costs two launches, above it a product and a solve
_STREAMS = 2  # of the factorisation: the update's and the urgent one
_HANDLE_BYTES = (
    64 << 20
)  # cuBLAS's workspace of one handle: 32 MiB on compute capability 9.0, less on others (cuBLAS documentation 12.9)


class LuFp64Cupy(BlockCyclicLu):
    """On GPUs by cuBLAS. Options, each `--option NAME=VALUE`:

    panel          device (default: factored on the GPU) or host (through pinned memory)
    exchange       staged (default: MPI on pinned host memory), cuda-aware (MPI on device memory) or nccl
    oversubscribe  1 lets ranks share a GPU
    """

    name = "lu_fp64_cupy"
    backend = "cupy"
    device = "cuda"
    summary = "block-cyclic LU on GPUs, one per rank: update by cuBLAS, panel by our kernels, look-ahead on two streams"
    options = OPTIONS
    user_order = 10

    _gpu: Gpu | None = None
    _free_bytes = 0
    _said: dict[str, str] | None = None
    _wire: Wire | None = None

    def why_not(self, machine: Any) -> str | None:
        return why_not(self.precision)

    def memory_bytes(self, problem: LuProblem) -> int:
        """On the GPU: as the block-cyclic LU counts, and what the two streams and their handles take."""
        own = panel_bytes(problem.nb) if self.option("panel") == "device" else 0
        return super().memory_bytes(problem) + own + _STREAMS * (stream_bytes() + _HANDLE_BYTES)

    def memory_room(self, comm: Comm) -> tuple[int, str]:
        """What is free on this rank's GPU, less what streams and handles take."""
        gpu = open_gpu(self.settings, comm)
        try:
            return gpu.libraries.free_bytes() - _STREAMS * (stream_bytes() + _HANDLE_BYTES), f"free on {gpu.facts.name}"
        finally:
            gpu.close()

    def setup(self, problem: LuProblem, comm: Comm, machine: Any) -> None:
        """Collective. Raises what `open_gpu` raises, and RunFailed on every rank, with the largest N, if a GPU is too small."""
        self.require_options()
        if self.option("exchange") == "nccl" and self.option("oversubscribe") == "1":
            raise BadInput(
                "--option exchange=nccl with oversubscribe=1: NCCL takes one rank per GPU; use exchange=staged"
            )
        if self.option("exchange") == "cuda-aware" and comm.mpi is not None:
            cuda_aware.require(comm)
        self.close()
        self._gpu = open_gpu(self.settings, comm)
        if self.option("exchange") == "nccl":
            nccl_wire.require(self._gpu, comm)
        self._free_bytes = self._gpu.libraries.free_bytes()
        super().setup(problem, comm, machine)

    def make_device(self, threads: int, comm: Comm) -> Device:
        assert self._gpu is not None
        require_arithmetic(self._gpu, self._gpu.lane(), self.precision)
        return CudaDevice(self._gpu)

    def tuned(self, tuning: LuTuning) -> LuTuning:
        if self.option("panel") == "device" and "nbmin" not in tuning.explicit:
            return replace(tuning, nbmin=NBMIN)
        return tuning

    def blas_threads(self) -> int:
        """All of the rank's for a panel on the host: nothing else computes there."""
        return self._threads

    def residence(self, device: Device, grid: Grid) -> Residence | None:
        """As the options panel and exchange say."""
        on_device = self.option("panel") == "device"
        return Residence(on_device, self._wire) if on_device or self._wire else None

    def close(self) -> None:
        self._said = self.describe()
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        super().close()

    def describe(self) -> dict[str, str]:
        """Of the device; after `close`, what it said before."""
        said = super().describe()
        if said:
            return {**said, **{name: self.option(name) for name in ("panel", "exchange")}}
        return self._said or {}

    def _allocate(self, problem: LuProblem, grid: Grid, comm: Comm) -> None:
        assert self._gpu is not None
        if self.option("exchange") == "nccl":  # collective, so before anything that fails on one rank only
            self._wire = NcclWire(self._gpu, grid)
        elif self.option("exchange") == "cuda-aware":
            self._wire = MpiWire(grid)
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
