"""The processor as a device: BLAS by pointer, compiled row operations, and threads that share the pieces of an update.

BLAS itself runs on one thread: parallelism comes from the pieces, so that the panel can be factored by one thread meanwhile. A device
with T threads has T - 1 workers; the thread that drives the LU is the T-th, through `help`.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from flopbench.blas_threads import hold_here
from flopbench.errors import RunFailed
from flopbench.kernel_api import MatrixSource
from flopbench_kernels.device import blas, rows
from flopbench_kernels.device.contract import Device, Event, Memory, PackedLeft, Stream
from flopbench_kernels.device.memory import HostMemory

if TYPE_CHECKING:  # it compiles as it is imported, and not every run needs it
    from flopbench_kernels.gemm_numba.subtract import Subtraction


class CpuEvent:
    """Done when as many pieces of its stream have finished as had been submitted when it was recorded."""

    def __init__(self, stream: CpuStream, target: int) -> None:
        self._stream, self._target = stream, target

    def done(self) -> bool:
        return self._stream.finished >= self._target

    def synchronize(self) -> None:
        """Wait, and work on waiting pieces instead of idling. Raises what a piece raised."""
        device = self._stream.device
        while not self.done():
            if not device.help():
                device.await_progress(self)
        device.raise_fault()


class CpuStream:
    """Counts pieces: submitted and finished. Pieces of one stream are independent of each other, by the contract."""

    def __init__(self, device: CpuDevice) -> None:
        self.device = device
        self.submitted = 0
        self.finished = 0

    def record(self) -> CpuEvent:
        return CpuEvent(self, self.submitted)

    def wait(self, event: Event) -> None:
        event.synchronize()


class CpuDevice(Device):
    """One rank's cores."""

    name = "cpu"
    is_host = True

    def __init__(
        self,
        threads: int = 1,
        library: str | None = None,
        own: Subtraction | None = None,
        own_product: bool = True,
    ) -> None:
        """`threads` of this rank; `library` is a BLAS by path, None takes SciPy's. Raises NotPossible for a bad library.

        Raises RunFailed if a thread cannot hold the BLAS at one thread for its calls.

        `own` solves for U and, if `own_product`, subtracts the product of the update, for as many threads; None leaves both to BLAS.
        """
        self._blas = blas.blas_by_path(library) if library else blas.scipy_blas()
        self.threads = threads
        self._own, self._product = own, own if own_product else None
        self._queue: deque[tuple[CpuStream, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._fault: BaseException | None = None
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(threads - 1)]
        self._beginning = CpuStream(self)
        self._beginning.submitted = len(self._workers)
        for worker in self._workers:
            worker.start()
        try:
            self._beginning.record().synchronize()
        except BaseException:
            self.close()
            raise

    def allocate(self, count: int) -> Memory:
        return HostMemory(count)

    def host_array(self, count: int) -> np.ndarray:
        array = HostMemory(count).array
        assert array is not None
        array[:: mmap.PAGESIZE // 8] = 0.0  # the system gives pages at the first touch: now, not in the timed region
        return array

    def stream(self, urgent: bool = False) -> CpuStream:
        return CpuStream(self)

    def submit(self, stream: Stream, piece: Callable[[], None]) -> None:
        assert isinstance(stream, CpuStream)
        with self._changed:
            stream.submitted += 1
            self._queue.append((stream, piece))
            self._changed.notify()

    def help(self) -> bool:
        with self._changed:
            if not self._queue:
                return False
            stream, piece = self._queue.popleft()
        self._run(stream, piece)
        self.raise_fault()
        return True

    def await_progress(self, event: CpuEvent) -> None:
        """Sleep until `event` is done or a piece waits."""
        with self._changed:
            self._changed.wait_for(lambda: event.done() or self._queue)

    def raise_fault(self) -> None:
        """Raise what a piece raised in a worker, once."""
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault

    def fill(
        self, stream: Stream, source: MatrixSource, m: int, n: int, row0: int, col0: int, a: int, lda: int
    ) -> None:
        source.fill(host_block(a, m, n, lda), row0, col0)

    def gemm(
        self, stream: Stream, m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int
    ) -> None:
        blas.gemm(self._blas.gemm, m, n, k, a, lda, b, ldb, c, ldc)

    def left(self, m: int) -> PackedLeft | None:
        return None if self._product is None else self._product.left(m)

    def trsm(self, stream: Stream, k: int, n: int, l1: int, ldl: int, b: int, ldb: int) -> None:
        if self._own is not None:
            self._own.solve(k, n, l1, ldl, b, ldb)
        else:
            blas.trsm(self._blas.trsm, k, n, l1, ldl, b, ldb)

    def gemv(self, stream: Stream, m: int, k: int, a: int, lda: int, x: int, y: int) -> None:
        rows.gemv(m, k, a, lda, x, y)

    def permute_rows(self, stream: Stream, n: int, a: int, lda: int, to: np.ndarray, origin: np.ndarray) -> None:
        rows.permute_rows(n, a, lda, to, origin)

    def gather_rows(self, stream: Stream, n: int, a: int, lda: int, index: np.ndarray, out: int, ldo: int) -> None:
        rows.gather_rows(n, a, lda, index, out, ldo)

    def scatter_rows(self, stream: Stream, n: int, a: int, lda: int, index: np.ndarray, source: int, lds: int) -> None:
        rows.scatter_rows(n, a, lda, index, source, lds)

    def copy_in(self, stream: Stream, m: int, n: int, host: int, ldh: int, a: int, lda: int) -> None:
        raise AssertionError("device memory is host memory here: nothing to copy")

    def copy_out(self, stream: Stream, m: int, n: int, a: int, lda: int, host: int, ldh: int) -> None:
        raise AssertionError("device memory is host memory here: nothing to copy")

    @property
    def blas(self) -> blas.Blas:
        """The routines for code that runs on the host anyway: the panel."""
        return self._blas

    def describe(self) -> dict[str, str]:
        product = "BLAS" if self._product is None else f"own product, {self._product.row.label}"
        solve = "BLAS" if self._own is None else f"own solve, {self._own.row.label}"
        return {
            "device": "cpu",
            "blas": self._blas.origin,
            "update": product,
            "trsm": solve,
            "threads": str(self.threads),
        }

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()
        self._workers = []

    def _work(self) -> None:
        self._run(self._beginning, _hold_blas)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._queue)
                if self._closed:
                    return
                stream, piece = self._queue.popleft()
            self._run(stream, piece)

    def _run(self, stream: CpuStream, piece: Callable[[], None]) -> None:
        try:
            piece()
        except (
            BaseException
        ) as error:  # a worker cannot raise into the thread that drives the LU: it hands the fault over
            with self._changed:
                self._fault = error
        finally:
            with self._changed:
                stream.finished += 1
                self._changed.notify_all()


def _hold_blas() -> None:
    excess = hold_here(1)
    if excess:
        raise RunFailed(f"BLAS threads cannot be held at one for each of ours: {excess}")


def host_block(address: int, m: int, n: int, ld: int) -> np.ndarray:
    """The column-major m x n block of host memory at `address`, as a NumPy view that owns nothing."""
    if m == 0 or n == 0:
        return np.empty((m, n), order="F")
    count = ld * (n - 1) + m
    flat = np.ctypeslib.as_array((ctypes.c_double * count).from_address(address))
    return np.lib.stride_tricks.as_strided(flat, shape=(m, n), strides=(8, 8 * ld))
