"""Messages between ranks that start and end in device memory.

MpiWire    an MPI library that understands device addresses (CUDA-aware). It knows nothing of streams: the host waits for the device
           before a buffer is sent, and before one of the row exchange is received into.
NCCL       flopbench_kernels.cuda.nccl_wire: operations on a stream, for which the host waits at no time.
"""

from __future__ import annotations

from typing import Any, Protocol

from flopbench_kernels.device.contract import Stream
from flopbench_kernels.device.resident import DeviceBuffer
from flopbench_kernels.lu_blockcyclic.broadcast import WAYS, Broadcast
from flopbench_kernels.lu_blockcyclic.grid import Grid

_SPREAD, _ROLL = 4, 5  # tags, as in row_exchange


class Wire(Protocol):
    """The two communicators of a rank, for device memory."""

    def broadcast(self, stream: Stream, way: str, root: int, buffer: DeviceBuffer, tag: int) -> Broadcast:
        """Along the process row, after what `stream` has been given. Nothing that the host has not waited for uses the buffer where it
        is received: between two panels in one buffer the host waits for the pivots of another, behind all updates before that one."""

    def spread(
        self, stream: Stream, send: DeviceBuffer, out_at: list[int], receive: DeviceBuffer, into_at: list[int]
    ) -> None:
        """In the process column: send[out_at[r] : out_at[r+1]] to every other rank r, who puts it where his `into_at` says."""

    def roll(self, stream: Stream, u: DeviceBuffer, edges: list[int]) -> None:
        """In the process column: every slice u[edges[r] : edges[r+1]], which rank r has, to all ranks."""

    def close(self) -> None:
        """Give the communicators back; may be called twice."""


class MpiWire:
    """CUDA-aware MPI. Blocks in the row exchange, as MPI through the host does."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def broadcast(self, stream: Stream, way: str, root: int, buffer: DeviceBuffer, tag: int) -> Broadcast:
        if self.grid.my_column == root:
            stream.record().synchronize()
        return WAYS[way](self.grid.row, root, buffer, tag)

    def spread(
        self, stream: Stream, send: DeviceBuffer, out_at: list[int], receive: DeviceBuffer, into_at: list[int]
    ) -> None:
        comm, me, parts = self.grid.column, self.grid.my_row, self.grid.p
        stream.record().synchronize()
        requests = []
        for distance in range(1, parts):
            source, target = (me - distance) % parts, (me + distance) % parts
            if into_at[source + 1] > into_at[source]:
                requests.append(comm.Irecv(receive[into_at[source] : into_at[source + 1]], source, _SPREAD))
            if out_at[target + 1] > out_at[target]:
                requests.append(comm.Isend(send[out_at[target] : out_at[target + 1]], target, _SPREAD))
        for request in requests:
            request.Wait()

    def roll(self, stream: Stream, u: DeviceBuffer, edges: list[int]) -> None:
        comm: Any = self.grid.column
        me, parts = self.grid.my_row, self.grid.p
        after, before = (me + 1) % parts, (me - 1) % parts
        stream.record().synchronize()
        for turn in range(parts - 1):
            mine, theirs = (me - turn) % parts, (me - turn - 1) % parts
            outgoing, incoming = u[edges[mine] : edges[mine + 1]], u[edges[theirs] : edges[theirs + 1]]
            comm.Sendrecv(outgoing, after, _ROLL, incoming, before, _ROLL)

    def close(self) -> None:
        """Nothing of its own: the communicators are the grid's."""
