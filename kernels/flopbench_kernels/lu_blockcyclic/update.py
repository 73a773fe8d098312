"""The update: a panel applied to a range of columns. Rows move, U is solved for, and the rest loses L2 U.

In a process column of one rank this happens inside the matrix. Otherwise U (width x columns) comes out of the row exchange in a buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flopbench_kernels.device.contract import Device, Event, Memory, PackedLeft, Stream
from flopbench_kernels.device.resident import DeviceBuffer
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix
from flopbench_kernels.lu_blockcyclic.panel import Panel
from flopbench_kernels.lu_blockcyclic.pivots import RowMoves
from flopbench_kernels.lu_blockcyclic.row_exchange import RowExchange


@dataclass(frozen=True)
class Prepared:
    """Columns from `column` on, ready for `apply`. `u`: device address of U, None where U is solved for in the matrix."""

    panel: Panel
    moves: RowMoves
    column: int
    u: int | None = None
    solved: bool = False
    left: PackedLeft | None = None


class UBuffer:
    """Room for U of one exchange, on the host and, where it has memory of its own, on the device."""

    def __init__(self, device: Device, count: int) -> None:
        """Raises MemoryError."""
        self.host: np.ndarray = device.host_array(count)
        self.mirror: Memory | None = None if device.is_host else device.allocate(count)
        self.copied: Event | None = None  # behind the last copy from `host`

    def claim(self, count: int) -> np.ndarray:
        """The first `count` float64 of `host`, to be written: no copy reads them any more."""
        if self.copied is not None:
            self.copied.synchronize()
            self.copied = None
        return self.host[:count]

    def free(self) -> None:
        if self.mirror is not None:
            self.mirror.free()


class Updater:
    """Applies panels to columns. `exchange` is None in a process column of one rank."""

    def __init__(self, device: Device, matrix: LocalMatrix, exchange: RowExchange | None) -> None:
        """Raises MemoryError."""
        self.device, self.matrix, self.exchange = device, matrix, exchange
        self.left = device.left(matrix.rows)

    def prepare_all(self, stream: Stream, panel: Panel, column: int, n: int, buffer: UBuffer | None) -> Prepared:
        """As `prepare`, for the columns that all of the device will update; the pieces of the panel before must be done."""
        prepared = self.prepare(stream, panel, column, n, buffer)
        if self.left is None:
            return prepared
        self.left.take(panel.rows_below, panel.width, panel.l2, panel.ld)
        return replace(prepared, left=self.left)

    def prepare(self, stream: Stream, panel: Panel, column: int, n: int, buffer: UBuffer | None) -> Prepared:
        """Move rows between ranks for `n` local columns. Collective over the process column where it has several ranks."""
        moves = panel.arrive(stream)
        if self.exchange is None or buffer is None or n == 0:
            return Prepared(panel, moves, column)
        if self.exchange.resident and buffer.mirror is not None:
            there = DeviceBuffer.of(buffer.mirror)[: panel.width * n]
            solved = self.exchange.run(stream, moves, panel.l1, panel.ld, column, n, there)
            return Prepared(panel, moves, column, there.address, solved)
        host = buffer.claim(panel.width * n)
        solved = self.exchange.run(stream, moves, panel.l1, panel.ld, column, n, host)
        if buffer.mirror is None:
            return Prepared(panel, moves, column, host.ctypes.data, solved)
        self.device.copy_in(stream, panel.width, n, host.ctypes.data, panel.width, buffer.mirror.address, panel.width)
        buffer.copied = stream.record()
        return Prepared(panel, moves, column, buffer.mirror.address, solved)

    def apply(self, stream: Stream, prepared: Prepared, column: int, n: int) -> None:
        """Update `n` of the prepared columns, from local column `column` on."""
        device, matrix, panel = self.device, self.matrix, prepared.panel
        a, ld, width = matrix.address(0, column), matrix.ld, panel.width
        below = a + 8 * panel.below
        if prepared.u is None:
            top = a + 8 * panel.top
            device.permute_rows(stream, n, a, ld, *prepared.moves.permutation)
            device.trsm(stream, width, n, panel.l1, panel.ld, top, ld)
            self._subtract(stream, prepared, n, top, ld, below)
            return
        u = prepared.u + 8 * width * (column - prepared.column)
        if not prepared.solved:
            device.trsm(stream, width, n, panel.l1, panel.ld, u, width)
        self._subtract(stream, prepared, n, u, width, below)
        if panel.has_top:
            device.scatter_rows(stream, n, a, ld, prepared.moves.my_top, u, width)

    def _subtract(self, stream: Stream, prepared: Prepared, n: int, u: int, ldu: int, c: int) -> None:
        """The rest of the columns loses L2 U."""
        if prepared.left is not None:
            prepared.left.subtract(n, u, ldu, c, self.matrix.ld)
            return
        panel = prepared.panel
        self.device.gemm(stream, panel.rows_below, n, panel.width, panel.l2, panel.ld, u, ldu, c, self.matrix.ld)


def pieces(n: int, threads: int, q: int, nb: int, widest: int | None = None) -> list[tuple[int, int]]:
    """Cut `n` columns into (start, width) pieces; `q` ranks of the process row wait for each other between pieces (1: no network).

    With `widest` they are that wide, but that a rest too short for a piece of its own goes with the last: their rows, once moved and
    solved for, are then still in the cache.
    One thread without a network takes all at once. Threads take their share of what is left (guided self-scheduling: C. D.
    Polychronopoulos, D. J. Kuck, IEEE Trans. Computers C-36(12), 1987), so that pieces are wide, since BLAS packs L once a piece, and
    yet all threads finish together. With a network to look at, pieces are short enough to look often, above all where ranks pass
    panels on (q > 2).
    """
    shortest = max(64, 3 * nb // 4)
    longest = n if q == 1 else max(512, (4 if q > 2 else 8) * nb)
    longest = min(longest, widest or n)
    cuts = []
    start = 0
    while start < n:
        left = n - start
        width = min(longest, max(shortest, -(-left // threads)))
        width = left if left - width < shortest else width
        cuts.append((start, width))
        start += width
    return cuts
