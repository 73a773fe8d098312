"""One GPU as our kernels use it: streams with handles of their own, copies, products, launches. Every fault is one line.

All memory is given by address and leading dimension, column-major, so that no block of a larger matrix is ever copied by the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flopbench_kernels.cuda import constants as c
from flopbench_kernels.cuda import rules
from flopbench_kernels.cuda.faults import OutOfDeviceMemory, fault
from flopbench_kernels.cuda.libraries import CupyLibraries, DeviceFacts, Libraries

THREADS = 256  # of a block: a multiple of the warp (32) that every compute capability can hold many of
_GRID_Y_MAX = 65535  # CUDA C++ Programming Guide, "Technical specifications per compute capability"
_GRID_X_MAX = 1 << 20
_BOUNCE_BYTES = 64 << 20

#: Opens the libraries. Tests put a stand-in over host memory here.
open_libraries: Callable[[], Libraries] = CupyLibraries


class Lane:
    """A stream with its own cuBLAS handle: two streams on one handle would share its workspace, and with it the bits of their results."""

    def __init__(self, libraries: Libraries, urgent: bool) -> None:
        self._libraries = libraries
        self.stream = libraries.stream(urgent)
        self.blas: int | None = libraries.cublas.create()

    def close(self) -> None:
        """Wait for the stream and give the handle back; may be called twice."""
        if self.blas is not None:
            self.stream.synchronize()
            self._libraries.cublas.destroy(self.blas)
            self.blas = None


class Gpu:
    """One GPU, current in the thread that made this. Raises ImportError without CuPy, CudaFault if the GPU does not answer."""

    def __init__(self, choose: Callable[[int], int] = lambda devices: 0, libraries: Libraries | None = None) -> None:
        """`choose` is told how many GPUs there are and says which one, from 0."""
        self.libraries = libraries or open_libraries()
        self._lanes: list[Lane] = []
        self.index = choose(self.call("cudaGetDeviceCount", self.libraries.runtime.getDeviceCount))
        self.call(f"opening GPU {self.index}", self.libraries.use, self.index)
        self.facts: DeviceFacts = self.call(f"asking GPU {self.index}", self.libraries.facts, self.index)

    def lane(self, urgent: bool = False) -> Lane:
        """A new stream with its handle."""
        lane = self.call(f"cublasCreate on GPU {self.index}", Lane, self.libraries, urgent)
        self._lanes.append(lane)
        return lane

    def close(self) -> None:
        """Give handles and the pool back; may be called twice. Memory goes with its last reference."""
        while self._lanes:
            lane = self._lanes.pop()
            self.call("closing a stream", lane.close)
        self.libraries.release()

    # memory -------------------------------------------------------------------------------------------------------

    def allocate(self, size: int, what: str) -> Any:
        """`size` bytes. Raises OutOfDeviceMemory, after the pool has been freed, with what would have fitted."""
        try:
            return self.libraries.allocate(size)
        except self.libraries.out_of_memory as error:
            free = self.libraries.free_bytes()
            raise OutOfDeviceMemory(
                f"GPU {self.index} ({self.facts.name}) cannot hold {what}: {size} bytes asked, {free} free"
            ) from error
        except self.libraries.errors as error:
            raise fault(f"allocating {size} bytes for {what}", error) from error

    def pinned(self, size: int) -> np.ndarray:
        """`size` bytes of page-locked host memory, as uint8. Raises CudaFault."""
        return self.call(f"cudaHostAlloc of {size} bytes", self.libraries.pinned, size)

    def copy(
        self, lane: Lane, rows: int, cols: int, source: int, lds: int, target: int, ldt: int, kind: int, size: int = 8
    ) -> None:
        """Queue the copy of a column-major block of `size`-byte elements; leading dimensions in elements. Host memory must be pinned."""
        if rows <= 0 or cols <= 0:
            return
        if min(lds, ldt) < rows:
            raise ValueError(f"copy of {rows} x {cols}: leading dimensions {lds} and {ldt} must be at least {rows}")
        self.call(
            lambda: f"cudaMemcpy2DAsync {rows} x {cols} of {size} bytes, ld {lds} -> {ldt}, kind {kind}",
            self.libraries.runtime.memcpy2DAsync,
            target, ldt * size, source, lds * size, rows * size, cols, kind, lane.stream.ptr,
        )  # fmt: skip

    def set_bytes(self, lane: Lane, address: int, value: int, size: int) -> None:
        """Queue writing the byte `value` `size` times."""
        self.call(
            f"cudaMemsetAsync of {size} bytes",
            self.libraries.runtime.memsetAsync,
            address,
            value,
            size,
            lane.stream.ptr,
        )

    def download(self, lane: Lane, address: int, rows: int, cols: int, ld: int, dtype: str) -> np.ndarray:
        """A column-major matrix of the GPU as a host array, column-major too, through a pinned buffer a few columns at a time; waits."""
        item = np.dtype(dtype).itemsize
        host = np.empty((rows, cols), dtype, order="F")
        step = max(1, min(cols, _BOUNCE_BYTES // max(1, rows * item)))
        bounce = self.pinned(step * rows * item).view(dtype).reshape(step, rows).T
        for first in range(0, cols, step):
            count = min(step, cols - first)
            self.copy(
                lane, rows, count, address + first * ld * item, ld, bounce.ctypes.data, rows, c.DEVICE_TO_HOST, item
            )
            self.wait(lane.stream, "copying from the GPU")
            host[:, first : first + count] = bounce[:, :count]
        return host

    # products -----------------------------------------------------------------------------------------------------

    def check_gemm(self, call: rules.GemmCall) -> None:
        """Raises BadInput if cuBLAS would not take `call` on this GPU."""
        rules.require(call, rules.broken_gemm_rule(call, self.facts.capability))

    def gemm(self, lane: Lane, call: rules.GemmCall) -> None:
        """Queue a product that `check_gemm` has passed."""
        with lane.stream:
            self.call(call.__str__, self.libraries.cublas.gemmEx, lane.blas, *call.arguments())

    def trsm(self, lane: Lane, k: int, n: int, triangle: int, ldl: int, b: int, ldb: int) -> None:
        """Queue B (k x n) = L1^-1 B with L1 the unit lower triangle of a k x k block. Raises BadInput if cuBLAS would not take it."""

        def text() -> str:
            return f"cublasDtrsm LLNU m={k} n={n} lda={ldl} ldb={ldb}"

        broken = rules.broken_trsm_rule(k, n, triangle, ldl, b, ldb)
        if broken:
            rules.require(text(), broken)
        with lane.stream:
            self.call(
                text, self.libraries.cublas.dtrsm,
                lane.blas, c.SIDE_LEFT, c.FILL_LOWER, c.OP_N, c.DIAG_UNIT, k, n, _ONE.ctypes.data, triangle, ldl, b, ldb,
            )  # fmt: skip

    def math_mode(self, lane: Lane) -> int:
        """The cublasMath_t bits of the lane's handle."""
        return int(self.call("cublasGetMathMode", self.libraries.cublas.getMathMode, lane.blas))

    # kernels ------------------------------------------------------------------------------------------------------

    def kernels(self, source: str) -> Mapping[str, Any]:
        """The kernels of sources/<source>.cu, compiled. Raises CudaFault with the compiler's message."""
        return self.call(f"NVRTC of {source}.cu", self.libraries.kernels, source)

    def launch(
        self,
        lane: Lane,
        kernel: Any,
        name: str,
        grid: tuple[int, ...],
        args: tuple[Any, ...],
        threads: int = THREADS,
    ) -> None:
        """Queue `kernel` in blocks of `threads` threads. Arguments are NumPy scalars of the C types' sizes."""
        with lane.stream:
            self.call(lambda: f"kernel {name} grid {grid} arguments {args}", kernel, grid, (threads,), args)

    # order --------------------------------------------------------------------------------------------------------

    def event(self, timing: bool = False) -> Any:
        """An event that `mark` may record again and again."""
        return self.call("cudaEventCreate", self.libraries.event, timing)

    def mark(self, event: Any, lane: Lane) -> None:
        """Put `event` behind everything queued on `lane` so far."""
        self.call("cudaEventRecord", event.record, lane.stream)

    def record(self, lane: Lane) -> Any:
        """A new event behind everything queued on `lane` so far."""
        event = self.event()
        self.mark(event, lane)
        return event

    def order(self, lane: Lane, event: Any) -> None:
        """What is queued on `lane` from now on starts after `event`."""
        self.call("cudaStreamWaitEvent", lane.stream.wait_event, event)

    def wait(self, event_or_stream: Any, why: str) -> None:
        """Let the host wait; faults of what was queued surface here."""
        self.call(why, event_or_stream.synchronize)

    def call(self, what: str | Callable[[], str], function: Callable[..., Any], *args: Any) -> Any:
        """function(*args), its faults as CudaFault that names `what` was called, with its shape."""
        try:
            return function(*args)
        except self.libraries.errors as error:
            raise fault(what if isinstance(what, str) else what(), error) from error


def grid_over(rows: int, cols: int) -> tuple[int, int]:
    """Blocks for a kernel whose x runs over rows and whose y runs over columns; both loops of such a kernel stride over the rest."""
    return min(max(1, -(-rows // THREADS)), _GRID_X_MAX), min(max(1, cols), _GRID_Y_MAX)


_ONE = np.array(1.0)
