"""The device contract: the few operations through which the block-cyclic LU touches its matrix, and nothing else.

Blocks are column-major float64, given by the address of their first element (an int) and a leading dimension in elements; element
(i, j) lies at address + 8 (i + j ld). Addresses of the matrix are the device's; panels and communication buffers are host memory.

What happens when:

* An operation with a `stream` argument is queued on that stream and may return before it is done. Operations of one stream happen in
  order. On the processor every operation is simply done when the call returns.
* `submit(stream, piece)` hands over a function that calls operations on that stream. A device may run it at once, or later and in
  another thread, together with other pieces of the same stream: pieces between two events must not touch the same columns. On CUDA
  it is `piece()`; on the processor it is how threads share the update and how the panel is factored meanwhile.
* `help()` runs one waiting piece in the calling thread. The LU calls it between looks at the network, until it says False.
* Events order streams, and make the host wait. A host buffer that was passed to `copy_in` or `copy_out` may be touched again only
  after an event recorded behind the copy has been waited for.

The order in which the LU uses a device in step k, with look-ahead (S = update stream, U = urgent stream):

    U.wait(S.record())                        the columns of the next panel are up to date with step k - 1
    permute_rows, trsm, gemm on U             bring them up to step k
    copy_out on U; event = U.record()         the next panel goes to the host
    S.wait(U.record()); submit(S, ...) ...    all other columns: permute_rows, trsm, gemm
    event.synchronize()                       factor the next panel on the host, send it to the other ranks
    while help(): ...                         the network is looked at in between
    copy_in on U                              the factored panel, for step k + 1
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np

from flopbench.kernel_api import MatrixSource


class Event(Protocol):
    """A point in a stream."""

    def done(self) -> bool:
        """Whether everything submitted before the event has finished. Does not wait."""

    def synchronize(self) -> None:
        """Let the host wait for it."""


class Stream(Protocol):
    """Operations that happen in order."""

    def record(self) -> Event:
        """An event behind everything submitted so far."""

    def wait(self, event: Event) -> None:
        """Whatever is submitted from now on starts only after `event`. The host need not wait."""


class Memory(Protocol):
    """Allocated device memory: `count` float64 from `address` on."""

    address: int
    count: int

    def free(self) -> None:
        """Give it back; may be called twice."""


class PackedLeft(Protocol):
    """The L of an update in a form of the device's own, see Device.left."""

    #: Columns that a piece of an update needs at most: wider ones are no faster.
    widest: int

    def take(self, m: int, k: int, a: int, lda: int) -> None:
        """From now on L (m x k) is the matrix at address `a`. Nothing may be subtracting, and it must not change before all has been."""

    def subtract(self, n: int, u: int, ldu: int, c: int, ldc: int) -> None:
        """C (m x n) -= L U. Pieces of one stream may do this at once."""


class Device(ABC):
    """One rank's device. Raises MemoryError when it cannot allocate; every other fault is the backend's own exception."""

    name: str
    #: True if device memory is host memory: then copy_in and copy_out are never called, and a panel's address is its host address.
    is_host: bool

    @abstractmethod
    def allocate(self, count: int) -> Memory:
        """`count` float64, contents undefined, aligned to 64 bytes or better."""

    @abstractmethod
    def host_array(self, count: int) -> np.ndarray:
        """`count` float64 of host memory whose pages are there, one-dimensional; copies from and to it are fast (pinned, for CUDA)."""

    @abstractmethod
    def stream(self, urgent: bool = False) -> Stream:
        """A stream; `urgent` ones go first where the device can choose."""

    @abstractmethod
    def submit(self, stream: Stream, piece: Callable[[], None]) -> None:
        """Run `piece`, which calls operations on `stream`: now, or later in any thread."""

    @abstractmethod
    def help(self) -> bool:
        """Run one waiting piece in this thread; False if none waits for a thread of the host."""

    @abstractmethod
    def fill(
        self, stream: Stream, source: MatrixSource, m: int, n: int, row0: int, col0: int, a: int, lda: int
    ) -> None:
        """A (m x n) becomes rows row0.. and columns col0.. of `source`."""

    @abstractmethod
    def gemm(
        self, stream: Stream, m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int
    ) -> None:
        """C (m x n) -= A (m x k) B (k x n)."""

    def left(self, m: int) -> PackedLeft | None:
        """Room for an L of at most m rows that many pieces subtract from different columns; None: `gemm` does as well.

        May raise MemoryError.
        """
        return None

    @abstractmethod
    def trsm(self, stream: Stream, k: int, n: int, l1: int, ldl: int, b: int, ldb: int) -> None:
        """B (k x n) becomes L1^-1 B; L1 is the unit lower triangle of a k x k block."""

    def gemv(self, stream: Stream, m: int, k: int, a: int, lda: int, x: int, y: int) -> None:
        """y (m) -= A (m x k) x (k)."""
        self.gemm(stream, m, 1, k, a, lda, x, max(k, 1), y, max(m, 1))

    @abstractmethod
    def permute_rows(self, stream: Stream, n: int, a: int, lda: int, to: np.ndarray, origin: np.ndarray) -> None:
        """Row to[i] of A gets what row origin[i] held before, for all i at once, in n columns. int64, each row once in `to`."""

    @abstractmethod
    def gather_rows(self, stream: Stream, n: int, a: int, lda: int, rows: np.ndarray, out: int, ldo: int) -> None:
        """Row i of `out` (len(rows) x n) becomes row rows[i] of A. `out` is device memory."""

    @abstractmethod
    def scatter_rows(self, stream: Stream, n: int, a: int, lda: int, rows: np.ndarray, source: int, lds: int) -> None:
        """Row rows[i] of A becomes row i of `source` (len(rows) x n), the inverse of gather_rows. `source` is device memory."""

    @abstractmethod
    def copy_in(self, stream: Stream, m: int, n: int, host: int, ldh: int, a: int, lda: int) -> None:
        """Device block A (m x n) becomes the host block at address `host`, which came from host_array."""

    @abstractmethod
    def copy_out(self, stream: Stream, m: int, n: int, a: int, lda: int, host: int, ldh: int) -> None:
        """The host block at address `host`, from host_array, becomes device block A (m x n)."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """What a reader of the record wants to know: library, threads, device name."""

    @abstractmethod
    def close(self) -> None:
        """End threads, release handles; may be called twice. Memory is freed by its own `free`."""
