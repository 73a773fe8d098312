"""A GPU as the device of the block-cyclic LU: cuBLAS by address on two streams, our own kernels for rows and for the matrix itself.

Inside a run nothing is allocated. The host waits only where the contract has it wait, and, should the GPU fall more than `SLOTS` row
exchanges behind on one stream, for the list of row numbers that it would otherwise overwrite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flopbench.errors import BadInput
from flopbench.kernel_api import MatrixSource
from flopbench_kernels.cuda import constants as const
from flopbench_kernels.cuda.context import THREADS, Gpu, Lane, grid_over
from flopbench_kernels.cuda.jump import jump
from flopbench_kernels.cuda.opening import describe
from flopbench_kernels.cuda.rules import GemmCall
from flopbench_kernels.device.contract import Device, Event, Memory, Stream
from flopbench_kernels.device.cuda_panel import CudaPanelKernels, panel_bytes

SLOTS = 8  # row exchanges that may be under way on one stream
INDEX_CAPACITY = 1 << 14  # row numbers a slot holds: two for each row of an exchange
SCRATCH = (
    1 << 22
)  # float64 of a stream's buffer for rows that change places: 32 MiB, which the L2 of a large GPU can hold
_ROWS_PER_THREAD = 16  # of the generator: one jump of up to 64 squarings is shared by so many steps

_MINUS_ONE, _ONE = np.array(-1.0), np.array(1.0)


class CudaMemory:
    """Device memory for the matrix and its buffers; back to the pool when `free` drops it."""

    def __init__(self, gpu: Gpu, count: int) -> None:
        self._pointer: Any = gpu.allocate(8 * max(count, 1), f"{count} float64")
        self.address: int = int(self._pointer.ptr)
        self.count = count

    def free(self) -> None:
        self._pointer = None
        self.address = 0


class CudaEvent:
    """A CUDA event, recorded once."""

    def __init__(self, gpu: Gpu, lane: Lane) -> None:
        self._gpu = gpu
        self.handle = gpu.record(lane)

    def done(self) -> bool:
        return bool(self.handle.done)

    def synchronize(self) -> None:
        self._gpu.wait(self.handle, "waiting for the GPU")


class CudaStream:
    """A stream with its handle, its buffer for rows under way, and its slots for row numbers."""

    def __init__(self, gpu: Gpu, urgent: bool, scratch: int) -> None:
        self._gpu = gpu
        self.lane = gpu.lane(urgent)
        self.scratch = CudaMemory(gpu, scratch)
        self._numbers = CudaMemory(gpu, SLOTS * INDEX_CAPACITY)
        self._staged = gpu.pinned(8 * SLOTS * INDEX_CAPACITY).view(np.int64).reshape(SLOTS, INDEX_CAPACITY)
        self._free_at: list[CudaEvent | None] = [None] * SLOTS
        self._turn = 0

    def record(self) -> CudaEvent:
        return CudaEvent(self._gpu, self.lane)

    def wait(self, event: Event) -> None:
        assert isinstance(event, CudaEvent)
        self._gpu.order(self.lane, event.handle)

    def send_numbers(self, *lists: np.ndarray) -> list[int]:
        """Queue copies of int64 arrays to the GPU; their addresses there, good for operations queued before the next SLOTS calls."""
        total = sum(map(len, lists))
        if total > INDEX_CAPACITY:
            raise BadInput(
                f"a row exchange of {total} row numbers: a GPU takes at most {INDEX_CAPACITY}; choose a smaller NB"
            )
        slot, self._turn = self._turn, (self._turn + 1) % SLOTS
        last = self._free_at[slot]
        if last is not None and not last.done():
            last.synchronize()
        staged = self._staged[slot]
        target = self._numbers.address + 8 * slot * INDEX_CAPACITY
        addresses, at = [], 0
        for numbers in lists:
            staged[at : at + len(numbers)] = numbers
            addresses.append(target + 8 * at)
            at += len(numbers)
        self._gpu.copy(self.lane, total, 1, staged.ctypes.data, total, target, total, const.HOST_TO_DEVICE)
        self._free_at[slot] = self.record()
        return addresses

    def free(self) -> None:
        self.scratch.free()
        self._numbers.free()


class CudaDevice(Device):
    """One GPU. Raises OutOfDeviceMemory (a MemoryError) when it is full, CudaFault when a call fails."""

    name = "cuda"
    is_host = False

    def __init__(self, gpu: Gpu, scratch: int | None = None) -> None:
        self.gpu = gpu
        self._scratch = SCRATCH if scratch is None else scratch
        self._streams: list[CudaStream] = []
        self._rows = gpu.kernels("rows")
        self._matrix = gpu.kernels("hpl_matrix")

    def allocate(self, count: int) -> Memory:
        return CudaMemory(self.gpu, count)

    def host_array(self, count: int) -> np.ndarray:
        return self.gpu.pinned(8 * count).view(np.float64)

    def stream(self, urgent: bool = False) -> CudaStream:
        stream = CudaStream(self.gpu, urgent, self._scratch)
        self._streams.append(stream)
        return stream

    def submit(self, stream: Stream, piece: Callable[[], None]) -> None:
        piece()

    def help(self) -> bool:
        return False

    def fill(
        self, stream: Stream, source: MatrixSource, m: int, n: int, row0: int, col0: int, a: int, lda: int
    ) -> None:
        if m <= 0 or n <= 0:
            return
        if getattr(source, "generator", None) == "hpl-lcg":
            self._generate(_cuda(stream), source, m, n, row0, col0, a, lda)
        else:
            self._fill_from_host(_cuda(stream), source, m, n, row0, col0, a, lda)

    def gemm(
        self, stream: Stream, m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int
    ) -> None:
        if min(m, n, k) <= 0:
            return
        call = GemmCall(
            const.OP_N, const.OP_N, m, n, k, _MINUS_ONE, a, const.R_64F, lda, b, const.R_64F, ldb,
            _ONE, c, const.R_64F, ldc, const.COMPUTE_64F,
        )  # fmt: skip
        self.gpu.check_gemm(call)
        self.gpu.gemm(_cuda(stream).lane, call)

    def trsm(self, stream: Stream, k: int, n: int, l1: int, ldl: int, b: int, ldb: int) -> None:
        if min(k, n) > 0:
            self.gpu.trsm(_cuda(stream).lane, k, n, l1, ldl, b, ldb)

    def permute_rows(self, stream: Stream, n: int, a: int, lda: int, to: np.ndarray, origin: np.ndarray) -> None:
        """Through the stream's buffer, as many columns at a time as fit: gather all, then scatter all."""
        count = len(to)
        if count == 0 or n <= 0:
            return
        cuda = _cuda(stream)
        to_there, origin_there = cuda.send_numbers(to, origin)
        step = cuda.scratch.count // count
        if step == 0:
            raise BadInput(
                f"a row exchange of {count} rows: the GPU's buffer holds {cuda.scratch.count}; choose a smaller NB"
            )
        for first in range(0, n, step):
            cols = min(step, n - first)
            here = a + 8 * first * lda
            self._move("rows_gather", cuda, here, lda, origin_there, count, cols, cuda.scratch.address, count)
            self._move("rows_scatter", cuda, here, lda, to_there, count, cols, cuda.scratch.address, count)

    def gather_rows(self, stream: Stream, n: int, a: int, lda: int, rows: np.ndarray, out: int, ldo: int) -> None:
        if len(rows) and n > 0:
            cuda = _cuda(stream)
            self._move("rows_gather", cuda, a, lda, cuda.send_numbers(rows)[0], len(rows), n, out, ldo)

    def scatter_rows(self, stream: Stream, n: int, a: int, lda: int, rows: np.ndarray, source: int, lds: int) -> None:
        if len(rows) and n > 0:
            cuda = _cuda(stream)
            self._move("rows_scatter", cuda, a, lda, cuda.send_numbers(rows)[0], len(rows), n, source, lds)

    def copy_in(self, stream: Stream, m: int, n: int, host: int, ldh: int, a: int, lda: int) -> None:
        self.gpu.copy(_cuda(stream).lane, m, n, host, ldh, a, lda, const.HOST_TO_DEVICE)

    def copy_out(self, stream: Stream, m: int, n: int, a: int, lda: int, host: int, ldh: int) -> None:
        self.gpu.copy(_cuda(stream).lane, m, n, a, lda, host, ldh, const.DEVICE_TO_HOST)

    def copy_within(self, stream: Stream, m: int, n: int, a: int, lda: int, b: int, ldb: int) -> None:
        """Device block B (m x n) becomes device block A; they must not overlap."""
        self.gpu.copy(_cuda(stream).lane, m, n, a, lda, b, ldb, const.DEVICE_TO_DEVICE)

    def panel_kernels(self, width: int, stream: Stream) -> CudaPanelKernels:
        """For panels of up to `width` columns, queued on `stream`. Raises OutOfDeviceMemory, CudaFault."""
        return CudaPanelKernels(self.gpu, self.allocate(panel_bytes(width) // 8), width, _cuda(stream))

    def describe(self) -> dict[str, str]:
        return {"blas": "cuBLAS gemmEx with CUBLAS_COMPUTE_64F, by CuPy", **describe(self.gpu)}

    def close(self) -> None:
        for stream in self._streams:
            stream.free()
        self._streams = []
        self.gpu.close()

    def _move(
        self, kernel: str, cuda: CudaStream, a: int, lda: int, rows: int, count: int, cols: int, packed: int, ldp: int
    ) -> None:
        args = (_address(a), _long(lda), _address(rows), _long(count), _long(cols), _address(packed), _long(ldp))
        self.gpu.launch(cuda.lane, self._rows[kernel], kernel, grid_over(count, cols), args)

    def _generate(self, cuda: CudaStream, source: Any, m: int, n: int, row0: int, col0: int, a: int, lda: int) -> None:
        grid = grid_over(-(-m // _ROWS_PER_THREAD), n)
        multiplier, increment = jump(grid[0] * THREADS)
        args = (
            _address(a), _long(lda), _long(m), _long(n), _long(row0), _long(col0), _long(source.n), np.uint64(source.seed),
            np.uint64(multiplier), np.uint64(increment),
        )  # fmt: skip
        self.gpu.launch(cuda.lane, self._matrix["hpl_fill"], "hpl_fill", grid, args)

    def _fill_from_host(
        self, cuda: CudaStream, source: MatrixSource, m: int, n: int, row0: int, col0: int, a: int, lda: int
    ) -> None:
        """For a matrix that only the host can make, a few columns at a time; waits."""
        step = max(1, SCRATCH // m)
        block = self.host_array(m * min(step, n)).reshape(-1, m).T
        for first in range(0, n, step):
            cols = min(step, n - first)
            source.fill(block[:, :cols], row0, col0 + first)
            self.copy_in(cuda, m, cols, block.ctypes.data, m, a + 8 * first * lda, lda)
            cuda.record().synchronize()


def stream_bytes() -> int:
    """GPU memory that each stream of a CudaDevice takes, beside what cuBLAS takes for its handle."""
    return 8 * (SCRATCH + SLOTS * INDEX_CAPACITY)


def _cuda(stream: Stream) -> CudaStream:
    assert isinstance(stream, CudaStream)
    return stream


_address, _long = np.uint64, np.int64  # the C types of our kernels' parameters
