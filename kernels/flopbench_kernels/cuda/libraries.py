"""The libraries behind a GPU, and the one place that imports CuPy and nvmath-python.

`Libraries` is the seam of the whole CUDA side: production code reaches cuBLAS, cuSOLVER, the runtime and CuPy's arrays only through it, so
that a machine without a GPU can run the same code over host memory (flopbench.gpu_selftest.stand_in) and a test can count every call.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from types import ModuleType
from typing import Any, Protocol

import numpy as np

#: Options of NVRTC for our kernels. Without fused multiply-add a kernel gives the bits that the same source gives on the host.
NVRTC_OPTIONS = ("--std=c++17", "--fmad=false")


_OWN_HEADER = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)

#: Sources whose kernels have a barrier across the whole grid, so that all blocks must be resident together.
COOPERATIVE = frozenset({"panel_alone"})


@dataclass(frozen=True)
class DeviceFacts:
    """What the CUDA runtime says of one GPU. `l2_bytes` is 0 where unknown."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    memory_bytes: int
    l2_bytes: int
    pci_bus_id: str


class Kernel(Protocol):
    """A compiled kernel. Arguments are NumPy scalars of exactly the C type's size."""

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None: ...


class Libraries(Protocol):
    """What production code needs. `cublas`, `cusolver` and `runtime` have the functions of CuPy's modules of those names."""

    cublas: Any
    cusolver: Any
    runtime: Any
    errors: tuple[type[Exception], ...]
    out_of_memory: tuple[type[Exception], ...]

    def use(self, index: int) -> None:
        """Make GPU `index` the current one of this thread."""

    def facts(self, index: int) -> DeviceFacts: ...
    def free_bytes(self) -> int:
        """Of the current GPU, after the pool has been given back."""

    def stream(self, urgent: bool) -> Any:
        """A non-blocking stream: a context manager with ptr, wait_event(event) and synchronize()."""

    def event(self, timing: bool) -> Any:
        """An event: record(stream), synchronize(), done."""

    def elapsed_seconds(self, start: Any, stop: Any) -> float: ...
    def allocate(self, size: int) -> Any:
        """`size` bytes of device memory, aligned to 256: a MemoryPointer; it is freed when the last reference goes."""

    def release(self) -> None:
        """Give the pool's unused blocks back to the driver."""

    def used_bytes(self) -> int:
        """Device memory that somebody holds."""

    def pinned(self, size: int) -> np.ndarray:
        """`size` bytes of page-locked host memory as uint8."""

    def array(self, memory: Any, shape: Sequence[int], dtype: str, strides: Sequence[int]) -> Any:
        """A cupy.ndarray over `memory`."""

    def kernels(self, source: str) -> Mapping[str, Kernel]:
        """The kernels of sources/<source>.cu by name, compiled for the current GPU."""

    def why_no_nccl(self) -> str | None:
        """Why there is no NCCL, or None."""

    def nccl(self) -> Any:
        """The module cupy.cuda.nccl. Only where `why_no_nccl` gives None."""

    def cublaslt(self) -> Any:
        """The module nvmath.bindings.cublasLt. Raises ImportError."""

    def versions(self) -> dict[str, str]: ...


def source_text(name: str) -> str:
    """The CUDA source sources/<name>.cu, with our own headers put in, so that it is one text for whoever compiles it."""
    folder = resources.files(__package__).joinpath("sources")
    text = folder.joinpath(f"{name}.cu").read_text(encoding="utf-8")
    return _OWN_HEADER.sub(lambda line: folder.joinpath(line[1]).read_text(encoding="utf-8"), text)


def source_names() -> list[str]:
    """The names of all our CUDA sources."""
    folder = resources.files(__package__).joinpath("sources")
    return sorted(entry.name.removesuffix(".cu") for entry in folder.iterdir() if entry.name.endswith(".cu"))


class CupyLibraries:
    """CuPy and what it binds. Raises ImportError when CuPy or the CUDA libraries behind it are missing."""

    def __init__(self) -> None:
        import cupy
        from cupy.cuda import memory as cupy_memory
        from cupy.cuda.compiler import CompileException
        from cupy_backends.cuda.api import driver, runtime
        from cupy_backends.cuda.libs import cublas, cusolver

        self._cupy: ModuleType = cupy
        self.cublas, self.cusolver, self.runtime = cublas, cusolver, runtime
        self.errors: tuple[type[Exception], ...] = (
            runtime.CUDARuntimeError,
            driver.CUDADriverError,
            cublas.CUBLASError,
            cusolver.CUSOLVERError,
            CompileException,
        )
        self.out_of_memory = (cupy_memory.OutOfMemoryError,)
        self._modules: dict[tuple[int, str], Any] = {}

    def use(self, index: int) -> None:
        self._cupy.cuda.Device(index).use()

    def facts(self, index: int) -> DeviceFacts:
        device = self._cupy.cuda.Device(index)
        properties = self.runtime.getDeviceProperties(index)
        capability = device.compute_capability  # "80", "120": the last digit is the minor number
        return DeviceFacts(
            name=properties["name"].decode(),
            capability=(int(capability[:-1]), int(capability[-1])),
            multiprocessors=int(properties["multiProcessorCount"]),
            memory_bytes=int(properties["totalGlobalMem"]),
            l2_bytes=int(properties.get("l2CacheSize", 0)),
            pci_bus_id=device.pci_bus_id,
        )

    def free_bytes(self) -> int:
        self.release()
        return int(self.runtime.memGetInfo()[0])

    def stream(self, urgent: bool) -> Any:
        return self._cupy.cuda.Stream(non_blocking=True, priority=-1 if urgent else 0)

    def event(self, timing: bool) -> Any:
        return self._cupy.cuda.Event(disable_timing=not timing)

    def elapsed_seconds(self, start: Any, stop: Any) -> float:
        return float(self._cupy.cuda.get_elapsed_time(start, stop)) * 1e-3

    def allocate(self, size: int) -> Any:
        return self._cupy.cuda.alloc(size)

    def release(self) -> None:
        self._cupy.get_default_memory_pool().free_all_blocks()
        self._cupy.get_default_pinned_memory_pool().free_all_blocks()

    def used_bytes(self) -> int:
        return int(self._cupy.get_default_memory_pool().used_bytes())

    def pinned(self, size: int) -> np.ndarray:
        memory = self._cupy.cuda.alloc_pinned_memory(max(size, 1))
        return np.frombuffer(memory, np.uint8, size)

    def array(self, memory: Any, shape: Sequence[int], dtype: str, strides: Sequence[int]) -> Any:
        return self._cupy.ndarray(tuple(shape), dtype, memptr=memory, strides=tuple(strides))

    def kernels(self, source: str) -> Mapping[str, Kernel]:
        key = (self.runtime.getDevice(), source)
        if key not in self._modules:
            module = self._cupy.RawModule(code=source_text(source), options=NVRTC_OPTIONS)
            module.compile()
            self._modules[key] = _Functions(module, source in COOPERATIVE)
        return self._modules[key]

    def why_no_nccl(self) -> str | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the library is missing is said below
            from cupy.cuda import nccl

        if nccl.available:
            return None
        return "CuPy finds no NCCL library here; install nvidia-nccl-cu12 (or -cu13), or leave out --option exchange"

    def nccl(self) -> Any:
        from cupy.cuda import nccl

        if nccl.NcclError not in self.errors:
            self.errors = (*self.errors, nccl.NcclError)
        return nccl

    def cublaslt(self) -> Any:
        from nvmath.bindings import cublasLt

        if cublasLt.cuBLASLtError not in self.errors:
            self.errors = (*self.errors, cublasLt.cuBLASLtError)
        return cublasLt

    def versions(self) -> dict[str, str]:
        return {
            "cupy": self._cupy.__version__,
            "cuda_driver": str(self.runtime.driverGetVersion()),
            "cuda_runtime": str(self.runtime.runtimeGetVersion()),
        }


class _Functions(Mapping[str, Kernel]):
    """The kernels of one compiled module, found by name."""

    def __init__(self, module: Any, cooperative: bool) -> None:
        self._module, self._cooperative = module, cooperative

    def __getitem__(self, name: str) -> Kernel:
        function = self._module.get_function(name)
        # RawModule(enable_cooperative_groups=True) would also link cudadevrt, which a wheel does not have; the flag of the launch is enough
        return partial(function.kernel, enable_cooperative_groups=True) if self._cooperative else function

    def __iter__(self):  # type: ignore[no-untyped-def]
        raise TypeError("a compiled module does not list its kernels; ask for one by name")

    def __len__(self) -> int:
        raise TypeError("a compiled module does not count its kernels; ask for one by name")
