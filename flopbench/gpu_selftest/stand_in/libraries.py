"""The stand-in as a whole, behind the interface through which production code reaches CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flopbench.gpu_selftest.stand_in.blas import Cublas, CublasError, Cusolver, CusolverError
from flopbench.gpu_selftest.stand_in.blas_lt import CublasLt, CublasLtError
from flopbench.gpu_selftest.stand_in.compiled import HostKernel, compile_source
from flopbench.gpu_selftest.stand_in.footprints import footprint
from flopbench.gpu_selftest.stand_in.memory import Arena, Owner, matrix
from flopbench.gpu_selftest.stand_in.nccl import Nccl, NcclError
from flopbench.gpu_selftest.stand_in.runtime import Runtime, RuntimeError_
from flopbench.gpu_selftest.stand_in.schedule import Event, Schedule, Stream


@dataclass(frozen=True)
class PlainPointer:
    """What is used of cupy.cuda.MemoryPointer, where CuPy is not installed."""

    ptr: int
    owner: Owner


@dataclass(frozen=True)
class PlainArray:
    """What is used of cupy.ndarray, where CuPy is not installed."""

    data: PlainPointer
    shape: tuple[int, ...]
    dtype: np.dtype
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize


class StandIn:
    """flopbench_kernels.cuda.libraries.Libraries without a GPU. With `cupy`, memory and arrays are CuPy's own, over host memory."""

    errors = (CublasError, CublasLtError, CusolverError, RuntimeError_, NcclError)
    out_of_memory = (MemoryError,)

    def __init__(
        self,
        policy: str = "eager",
        seed: int = 0,
        capacity: int = 1 << 30,
        capability: tuple[int, int] = (9, 0),
        cupy: Any = None,
        devices: int = 1,
        pci_bus_id: str = "0000:00:00.0",
        no_nccl: str | None = None,
        lt: bool = True,
    ) -> None:
        from flopbench_kernels.cuda.libraries import COOPERATIVE, DeviceFacts, source_text

        self._cupy = cupy
        self._source_text, self._cooperative = source_text, COOPERATIVE
        self.arena = Arena(capacity)
        self.schedule = Schedule(self.arena, policy, seed)
        self.cublas, self.cusolver, self.runtime = (
            Cublas(self.schedule),
            Cusolver(self.schedule),
            Runtime(self.schedule, devices),
        )
        self._nccl = Nccl(self.schedule)
        self._no_nccl = no_nccl
        self.lt = CublasLt(self.schedule, capability) if lt else None
        self.index = 0
        self.devices = devices
        self._facts = DeviceFacts("host memory", capability, 2, capacity, 0, pci_bus_id)

    @property
    def calls(self) -> list[str]:
        """Every call so far, by name."""
        return self.schedule.calls

    @property
    def races(self) -> list[tuple[str, str]]:
        """Pairs of operations that touched the same bytes unordered."""
        self.schedule.notice_host_writes()
        return self.schedule.races

    def use(self, index: int) -> None:
        if not 0 <= index < self.devices:
            raise RuntimeError_(101, "cudaErrorInvalidDevice: invalid device ordinal")
        self.index = index

    def facts(self, index: int) -> Any:
        return self._facts

    def free_bytes(self) -> int:
        self.release()
        return self.arena.capacity - self.arena.used

    def stream(self, urgent: bool) -> Stream:
        return self.schedule.new_stream()

    def event(self, timing: bool) -> Event:
        return Event(self.schedule)

    def elapsed_seconds(self, start: Event, stop: Event) -> float:
        """Operations between the two recordings, as if each took a second: a stand-in has no speed."""
        assert start.mark and stop.mark and start.mark.fired and stop.mark.fired
        return float(stop.mark.clock[stop.mark.stream.ptr] - start.mark.clock[start.mark.stream.ptr])

    def allocate(self, size: int) -> Any:
        self.schedule.count("allocate")
        address, owner = self.arena.new(size, "device")
        if self._cupy is None:
            return PlainPointer(address, owner)
        return self._cupy.cuda.MemoryPointer(self._cupy.cuda.UnownedMemory(address, size, owner, 0), 0)

    def release(self) -> None:
        self.schedule.count("release")

    def used_bytes(self) -> int:
        return self.arena.used

    def pinned(self, size: int) -> np.ndarray:
        self.schedule.count("pinned")
        address, owner = self.arena.new(max(size, 1), "pinned")
        self.schedule.keep.append(owner)
        self.schedule.remember_pinned()
        return matrix(address, size, 1, max(size, 1), "uint8")[:, 0]

    def array(self, memory: Any, shape: Sequence[int], dtype: str, strides: Sequence[int]) -> Any:
        if self._cupy is None:
            return PlainArray(memory, tuple(shape), np.dtype(dtype), tuple(strides))
        return self._cupy.ndarray(tuple(shape), dtype, memptr=memory, strides=tuple(strides))

    def kernels(self, source: str) -> Mapping[str, Any]:
        self.schedule.count("compile")
        compiled = compile_source(self._source_text(source))
        together = self._facts.multiprocessors if source in self._cooperative else None
        return {name: _Launch(self, kernel, together) for name, kernel in compiled.items()}

    def why_no_nccl(self) -> str | None:
        return self._no_nccl

    def nccl(self) -> Nccl:
        return self._nccl

    def cublaslt(self) -> CublasLt:
        if self.lt is None:
            raise ImportError("No module named 'nvmath'")
        return self.lt

    def versions(self) -> dict[str, str]:
        return {"cuda": "stand-in"}


@dataclass(frozen=True)
class _Launch:
    """A kernel that runs on the current stream of the stand-in."""

    libraries: StandIn
    kernel: HostKernel
    together: int | None = None  # of a cooperative launch: blocks that are resident at once

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
        self.kernel.check(args)
        if not (1 <= grid[0] <= 2**31 - 1 and all(1 <= g <= 65535 for g in grid[1:]) and 1 <= block[0] <= 1024):
            raise RuntimeError_(9, f"cudaErrorInvalidConfiguration: grid {grid}, block {block}")
        if self.together is not None and grid[0] > self.together:
            raise RuntimeError_(720, f"cudaErrorCooperativeLaunchTooLarge: {grid[0]} blocks, {self.together} fit")
        schedule = self.libraries.schedule
        known = footprint(self.kernel.name, args) if schedule.policy == "eager" else ([], [])

        def action() -> None:
            for regions in footprint(self.kernel.name, args):
                for region in regions:
                    schedule.arena.check(region, "device", self.kernel.name)
            self.kernel.run(grid, block, args)

        schedule.submit(schedule.stream_of_call(f"kernel {self.kernel.name}"), self.kernel.name, *known, action)
