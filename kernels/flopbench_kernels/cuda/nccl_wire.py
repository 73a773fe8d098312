"""Messages by NCCL, for the block-cyclic LU: every operation is queued on a stream, in the order in which all ranks queue theirs.

Calls are those of cupy.cuda.nccl (CuPy 14.2): NcclCommunicator(ndev, commId, rank), broadcast(sendbuf, recvbuf, count, datatype, root,
stream), send(buf, count, datatype, peer, stream), recv(...), groupStart, groupEnd. A send and a receive that wait for each other must be in
one group (NCCL documentation, "Group Calls").
"""

from __future__ import annotations

from typing import Any

from flopbench.errors import NotPossible
from flopbench.kernel_api import Comm
from flopbench_kernels.cuda import constants as c
from flopbench_kernels.cuda.context import Gpu
from flopbench_kernels.cuda.faults import CudaFault
from flopbench_kernels.device.contract import Stream
from flopbench_kernels.device.resident import DeviceBuffer
from flopbench_kernels.lu_blockcyclic.broadcast import Broadcast
from flopbench_kernels.lu_blockcyclic.grid import Grid


class QueuedBroadcast(Broadcast):
    """A broadcast that the stream carries out: for the host it is done as soon as it is queued."""

    def __init__(self) -> None:
        self.arriving, self.leaving = [], []


class NcclWire:
    """One NCCL communicator for the process row, one for the process column. Raises NotPossible, CudaFault."""

    def __init__(self, gpu: Gpu, grid: Grid) -> None:
        """Collective over the grid, with the GPU current."""
        self.gpu, self.grid = gpu, grid
        self.row = self._communicator(grid.row)
        self.column = self._communicator(grid.column)

    def broadcast(self, stream: Stream, way: str, root: int, buffer: DeviceBuffer, tag: int) -> Broadcast:
        self.gpu.call(
            f"ncclBroadcast of {buffer.size} FP64 from rank {root}",
            self.row.broadcast, buffer.address, buffer.address, buffer.size, c.NCCL_FLOAT64, root, _pointer(stream),
        )  # fmt: skip
        return QueuedBroadcast()

    def spread(
        self, stream: Stream, send: DeviceBuffer, out_at: list[int], receive: DeviceBuffer, into_at: list[int]
    ) -> None:
        me, parts = self.grid.my_row, self.grid.p
        with _Group(self.gpu):
            for distance in range(1, parts):
                source, target = (me - distance) % parts, (me + distance) % parts
                self._receive(stream, receive[into_at[source] : into_at[source + 1]], source)
                self._send(stream, send[out_at[target] : out_at[target + 1]], target)

    def roll(self, stream: Stream, u: DeviceBuffer, edges: list[int]) -> None:
        me, parts = self.grid.my_row, self.grid.p
        for turn in range(parts - 1):
            mine, theirs = (me - turn) % parts, (me - turn - 1) % parts
            with _Group(self.gpu):
                self._send(stream, u[edges[mine] : edges[mine + 1]], (me + 1) % parts)
                self._receive(stream, u[edges[theirs] : edges[theirs + 1]], (me - 1) % parts)

    def close(self) -> None:
        for communicator in (self.row, self.column):
            if communicator is not None:
                self.gpu.call("ncclCommDestroy", communicator.destroy)
        self.row = self.column = None

    def _send(self, stream: Stream, part: DeviceBuffer, peer: int) -> None:
        if part.size:
            self.gpu.call(
                f"ncclSend of {part.size} FP64 to rank {peer}",
                self.column.send, part.address, part.size, c.NCCL_FLOAT64, peer, _pointer(stream),
            )  # fmt: skip

    def _receive(self, stream: Stream, part: DeviceBuffer, peer: int) -> None:
        if part.size:
            self.gpu.call(
                f"ncclRecv of {part.size} FP64 from rank {peer}",
                self.column.recv, part.address, part.size, c.NCCL_FLOAT64, peer, _pointer(stream),
            )  # fmt: skip

    def _communicator(self, comm: Any) -> Any:
        """Rank 0 makes the name of the new communicator, or says why not; then all join."""
        if comm is None:
            return None
        rank, size = comm.Get_rank(), comm.Get_size()
        name, fault = comm.allgather(_offer(self.gpu) if rank == 0 else None)[0]
        if fault:
            raise NotPossible(f"exchange=nccl: {fault}")
        nccl = self.gpu.libraries.nccl()
        return self.gpu.call(f"ncclCommInitRank {rank} of {size}", nccl.NcclCommunicator, size, name, rank)


class _Group:
    """Calls between groupStart and groupEnd are one operation."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.nccl = gpu, gpu.libraries.nccl()

    def __enter__(self) -> None:
        self.gpu.call("ncclGroupStart", self.nccl.groupStart)

    def __exit__(self, *_: object) -> None:
        self.gpu.call("ncclGroupEnd", self.nccl.groupEnd)


def require(gpu: Gpu, comm: Comm) -> None:
    """Raises NotPossible, on every rank, if there is no NCCL on one. Collective."""
    told = comm.bcast(comm.gather(gpu.libraries.why_no_nccl()))
    for rank, reason in enumerate(told):
        if reason:
            raise NotPossible(f"exchange=nccl, rank {rank}: {reason}")


def _offer(gpu: Gpu) -> tuple[bytes | None, str | None]:
    """(name of a new communicator, None), or (None, what NCCL says): the other ranks wait for one of the two."""
    try:
        return gpu.call("ncclGetUniqueId", gpu.libraries.nccl().get_unique_id), None
    except CudaFault as fault:
        return None, str(fault)


def _pointer(stream: Any) -> int:
    return int(stream.lane.stream.ptr)
