"""The row exchange of a process column: pivoting and the broadcast of U in one, before the update (HPL 2.3, SWAP; HPL_pdlaswp*).

Every rank of the process column needs all `width` rows of U, which lie scattered over the ranks; the rows that they push out of the top
block go to where those came from. Two ways:

    binexch   binary exchange: ranks pair up over distances 1, 2, 4, ...; each passes on all it has. log2(P) messages, for few columns.
    long      spread and roll: every rank first gets all rows of its own slice of the columns, and solves that slice; then the slices go
              round. Twice the messages, but the volume does not grow with P and the triangular solve is shared out.
    mix       binexch up to the swapping threshold, long above.

Rows travel as column-major blocks (rows x columns) in host buffers that are as long as the widest update needs, and allocated once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench_kernels.device import rows
from flopbench_kernels.device.contract import Device, Memory, Stream
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix
from flopbench_kernels.lu_blockcyclic.pivots import RowMoves

_UP, _DOWN, _PAIR, _SPREAD, _ROLL = 1, 2, 3, 4, 5  # tags


class RowExchange:
    """The buffers and the communicator of one process column with more than one rank."""

    resident = False  # whether buffers, and U, are device memory

    def __init__(
        self, device: Device, matrix: LocalMatrix, grid: Grid, swap: str, threshold: int, width: int, columns: int
    ) -> None:
        """For panels up to `width` and updates up to `columns` wide. Raises MemoryError."""
        self.device, self.matrix, self.grid = device, matrix, grid
        self.swap, self.threshold = swap, threshold
        self.send = device.host_array(2 * width * columns)
        self.receive = device.host_array(2 * width * columns)
        self.solves_slices = device.is_host
        self.scratch: Memory | None = None if device.is_host else device.allocate(2 * width * columns)

    def run(self, stream: Stream, moves: RowMoves, l1: int, ldl: int, column: int, n: int, u: Any) -> bool:
        """Exchange `n` local columns from `column` on; `u` gets U (width x n, host). Returns whether U is solved with L1 already.

        l1, ldl: the unit lower triangle, on the device. Collective over the process column. Blocks.
        """
        if self.swap == "binexch" or (self.swap == "mix" and n <= self.threshold):
            self._binary_exchange(stream, moves, column, n, u)
            return False
        return self._spread_and_roll(stream, moves, l1, ldl, column, n, u)

    def free(self) -> None:
        if self.scratch is not None:
            self.scratch.free()

    def _binary_exchange(self, stream: Stream, moves: RowMoves, column: int, n: int, u: np.ndarray) -> None:
        """One block a rank: its rows of U, and on the top block's owner the rows that leave. A group's blocks are neighbours."""
        heights = [len(piece) for piece in moves.pieces]
        heights[moves.top_owner] += sum(moves.leaving)
        me, parts = self.grid.my_row, self.grid.p
        core = 1 << (parts.bit_length() - 1)  # ranks that pair up; the others lean on one of these
        order = [r for h in range(core) for r in (h, h + core) if r < parts]
        start = dict(zip(order, np.cumsum([0] + [heights[r] * n for r in order]).tolist(), strict=False))
        blocks = self.receive
        end = sum(heights) * n

        def limits(first: int, count: int) -> tuple[int, int]:
            """Where the blocks of the core ranks first .. first + count - 1, and of those that lean on them, lie."""
            return start[first], start[first + count] if first + count < core else end

        self._pull(stream, np.concatenate([moves.my_rows, moves.my_leaving]), column, n, blocks[start[me] :])
        comm = self.grid.column
        if me >= core:
            comm.Send(blocks[start[me] : start[me] + heights[me] * n], me - core, _UP)
            comm.Recv(blocks[:end], me - core, _DOWN)
        else:
            if me + core < parts:
                leaner = me + core
                comm.Recv(blocks[start[leaner] : start[leaner] + heights[leaner] * n], leaner, _UP)
            distance = 1
            while distance < core:
                partner = me ^ distance
                low, high = limits(me & ~(distance - 1), distance)
                other_low, other_high = limits(partner & ~(distance - 1), distance)
                comm.Sendrecv(blocks[low:high], partner, _PAIR, blocks[other_low:other_high], partner, _PAIR)
                distance *= 2
            if me + core < parts:
                comm.Send(blocks[:end], me + core, _DOWN)
        for r, piece in enumerate(moves.pieces):
            rows.scatter_rows(n, u.ctypes.data, moves.width, piece, blocks.ctypes.data + 8 * start[r], heights[r])
        top = moves.top_owner
        first = len(moves.pieces[top]) + sum(moves.leaving[:me])
        self._push(stream, moves.my_arriving, column, n, blocks, start[top] + first, heights[top])

    def _spread_and_roll(
        self, stream: Stream, moves: RowMoves, l1: int, ldl: int, column: int, n: int, u: np.ndarray
    ) -> bool:
        me, parts, top = self.grid.my_row, self.grid.p, moves.top_owner
        edges = [n * part // parts for part in range(parts + 1)]
        slices = [edges[part + 1] - edges[part] for part in range(parts)]
        mine = len(moves.my_rows)
        leaves = moves.leaving if me == top else [0] * parts
        out = [mine * slices[part] + leaves[part] * n for part in range(parts)]
        into = [
            len(moves.pieces[part]) * slices[me] + (moves.leaving[me] * n if part == top else 0)
            for part in range(parts)
        ]
        out_at = np.cumsum([0, *out]).tolist()
        into_at = np.cumsum([0, *into]).tolist()
        left = 0
        for part in range(parts):
            self._pull(stream, moves.my_rows, column + edges[part], slices[part], self.send[out_at[part] :])
            if leaves[part]:
                going = moves.my_leaving[left : left + leaves[part]]
                self._pull(stream, going, column, n, self.send[out_at[part] + mine * slices[part] :])
                left += leaves[part]
        self._spread(stream, out_at, into_at)
        u_slice = self._address(u) + 8 * moves.width * edges[me]
        came = [(self.receive, at) for at in into_at[:-1]]
        came[me] = (self.send, out_at[me])  # what is mine already never went anywhere
        for (buffer, at), piece in zip(came, moves.pieces, strict=True):
            self._unpack(stream, slices[me], u_slice, moves.width, piece, self._address(buffer) + 8 * at)
        buffer, at = came[top]
        arrived = at + len(moves.pieces[top]) * slices[me]
        self._push(stream, moves.my_arriving, column, n, buffer, arrived, len(moves.my_arriving))
        if self.solves_slices:
            self.device.trsm(stream, moves.width, slices[me], l1, ldl, u_slice, moves.width)
        self._roll(stream, u, [moves.width * edge for edge in edges])
        return self.solves_slices

    def _spread(self, stream: Stream, out_at: list[int], into_at: list[int]) -> None:
        """Everybody sends everybody else his part: send[out_at[r] : out_at[r+1]] to rank r, who puts it where `into_at` says."""
        comm, me, parts = self.grid.column, self.grid.my_row, self.grid.p
        requests = []
        for distance in range(1, parts):
            source, target = (me - distance) % parts, (me + distance) % parts
            if into_at[source + 1] > into_at[source]:
                requests.append(comm.Irecv(self.receive[into_at[source] : into_at[source + 1]], source, _SPREAD))
            if out_at[target + 1] > out_at[target]:
                requests.append(comm.Isend(self.send[out_at[target] : out_at[target + 1]], target, _SPREAD))
        for request in requests:
            request.Wait()

    def _roll(self, stream: Stream, u: np.ndarray, edges: list[int]) -> None:
        """Every slice u[edges[r] : edges[r+1]] goes once round; each rank starts with its own."""
        comm, me, parts = self.grid.column, self.grid.my_row, self.grid.p
        after, before = (me + 1) % parts, (me - 1) % parts
        for turn in range(parts - 1):
            mine, theirs = (me - turn) % parts, (me - turn - 1) % parts
            outgoing, incoming = u[edges[mine] : edges[mine + 1]], u[edges[theirs] : edges[theirs + 1]]
            comm.Sendrecv(outgoing, after, _ROLL, incoming, before, _ROLL)

    def _unpack(self, stream: Stream, n: int, u: int, ldu: int, index: np.ndarray, block: int) -> None:
        """Row index[i] of U (n columns, at address u) = row i of the block."""
        rows.scatter_rows(n, u, ldu, index, block, len(index))

    @staticmethod
    def _address(buffer: np.ndarray) -> int:
        return int(buffer.ctypes.data)

    def _pull(self, stream: Stream, index: np.ndarray, column: int, n: int, out: np.ndarray) -> None:
        """out (len(index) x n, host) = the matrix's local rows `index`, columns from `column` on."""
        count = len(index)
        if count == 0 or n == 0:
            return
        a, ld = self.matrix.address(0, column), self.matrix.ld
        if self.scratch is None:
            self.device.gather_rows(stream, n, a, ld, index, out.ctypes.data, count)
            return
        self.device.gather_rows(stream, n, a, ld, index, self.scratch.address, count)
        self.device.copy_out(stream, count, n, self.scratch.address, count, out.ctypes.data, count)
        stream.record().synchronize()

    def _push(
        self, stream: Stream, index: np.ndarray, column: int, n: int, block: np.ndarray, at: int, ld_block: int
    ) -> None:
        """The matrix's local rows `index` = the block (len(index) x n, leading dimension ld_block) that starts at block[at]."""
        count = len(index)
        if count == 0 or n == 0:
            return
        a, ld = self.matrix.address(0, column), self.matrix.ld
        source: Any = block.ctypes.data + 8 * at
        if self.scratch is not None:
            self.device.copy_in(stream, count, n, source, ld_block, self.scratch.address, count)
            source, ld_block = self.scratch.address, count
        self.device.scatter_rows(stream, n, a, ld, index, source, ld_block)
        if self.scratch is not None:
            stream.record().synchronize()
