"""cupy.cuda.nccl, as far as flopbench calls it, between stand-ins that run as threads of one process.

As in NCCL, every operation happens on its stream, a send meets the receive that the other rank queued in the same place, and what is in a
group happens together. Ranks that disagree on count, type or root, where NCCL would hang or write wrong memory, are an error here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import Region, column_major, matrix
from flopbench.gpu_selftest.stand_in.schedule import Schedule

PATIENCE_S = 30.0
_NUMPY = {2: "int32", 8: "float64"}  # ncclDataType_t

_boards: dict[bytes, _Board] = {}
_names = itertools.count(1)


class NcclError(RuntimeError):
    """As cupy_backends.cuda.libs.nccl.NcclError."""

    def __init__(self, status: int, name: str) -> None:
        self.status = status
        super().__init__(name)


class _Board:
    """Where the ranks of a communicator leave what they send."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.left: dict[tuple, Any] = {}

    def put(self, key: tuple, value: Any) -> None:
        with self.changed:
            self.left[key] = value
            self.changed.notify_all()

    def take(self, key: tuple) -> Any:
        with self.changed:
            if not self.changed.wait_for(lambda: key in self.left, PATIENCE_S):
                raise AssertionError(f"nccl: {key} never came")
            return self.left[key]


class Nccl:
    """The module, for one rank's stand-in."""

    NcclError = NcclError

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.group: list[_Part] | None = None

    def get_unique_id(self) -> bytes:
        name = b"%128d" % next(_names)
        _boards[name] = _Board()
        return name

    def NcclCommunicator(self, ndev, commId, rank, config=None):  # noqa: N802 - CuPy's names
        return Communicator(self, ndev, _boards[commId], rank)

    def groupStart(self):  # noqa: N802 - CuPy's name
        assert self.group is None, "nccl: a group inside a group"
        self.group = []

    def groupEnd(self):  # noqa: N802 - CuPy's name
        assert self.group is not None, "nccl: groupEnd without groupStart"
        parts, self.group = self.group, None
        if parts:
            self.run(parts)

    def add(self, part: _Part) -> None:
        """Now, or with the rest of the group."""
        if self.group is None:
            self.run([part])
        else:
            self.group.append(part)

    def run(self, parts: list[_Part]) -> None:
        """One operation on the stream: all that is sent, then all that is received."""
        streams = {part.stream for part in parts}
        assert len(streams) == 1, "nccl: a group over several streams"

        def action() -> None:
            for part in sorted(parts, key=lambda part: part.order):
                part.action()

        reads = [part.region for part in parts if part.order == 0]
        writes = [part.region for part in parts if part.order == 1]
        self.schedule.submit(self.schedule.streams[streams.pop()], "nccl", reads, writes, action)


class _Part:
    """One send (order 0) or receive (order 1)."""

    def __init__(self, order: int, stream: int, region: Region, action: Callable[[], None]) -> None:
        self.order, self.stream, self.region, self.action = order, stream, region, action


class Communicator:
    """cupy.cuda.nccl.NcclCommunicator."""

    def __init__(self, nccl: Nccl, size: int, board: _Board, rank: int) -> None:
        if not 0 <= rank < size:
            raise NcclError(4, "NCCL_ERROR_INVALID_ARGUMENT: invalid argument")
        self._nccl, self._size, self._board, self._rank = nccl, size, board, rank
        self._turns: dict[tuple, int] = {}

    def broadcast(self, sendbuff, recvbuff, count, datatype, root, stream):
        self._check_peer(root)
        key = ("broadcast", self._turn("broadcast"))
        self._agree(key, (count, datatype, root))
        if self._rank == root:
            self._send(sendbuff, count, datatype, stream, key)
        else:
            self._receive(recvbuff, count, datatype, stream, key)

    def send(self, sendbuf, count, datatype, peer, stream):
        self._check_peer(peer)
        way = ("send", self._rank, peer)
        self._send(sendbuf, count, datatype, stream, (*way, self._turn(way)))

    def recv(self, recvbuf, count, datatype, peer, stream):
        self._check_peer(peer)
        way = ("send", peer, self._rank)
        self._receive(recvbuf, count, datatype, stream, (*way, self._turn(way)))

    def destroy(self):
        self._turns.clear()

    def _send(self, address, count, datatype, stream, key):
        region = self._region(address, count, datatype)

        def action() -> None:
            self._board.put(key, matrix(address, count, 1, max(count, 1), _NUMPY[datatype])[:, 0].copy())

        self._nccl.add(_Part(0, stream, region, action))

    def _receive(self, address, count, datatype, stream, key):
        region = self._region(address, count, datatype)

        def action() -> None:
            came = self._board.take(key)
            if came.size != count or came.dtype != np.dtype(_NUMPY[datatype]):
                raise AssertionError(f"nccl: {key}: {came.size} {came.dtype} came, {count} {_NUMPY[datatype]} expected")
            matrix(address, count, 1, max(count, 1), _NUMPY[datatype])[:, 0] = came

        self._nccl.add(_Part(1, stream, region, action))

    def _region(self, address, count, datatype) -> Region:
        region = column_major(address, count, 1, max(count, 1), _NUMPY[datatype])
        self._nccl.schedule.arena.check(region, "device", "nccl")
        return region

    def _agree(self, key: tuple, what: tuple) -> None:
        """The first rank that comes says what the collective is; the others must say the same."""
        with self._board.changed:
            told = self._board.left.setdefault((*key, "is"), what)
        if told != what:
            raise AssertionError(f"nccl: {key}: rank {self._rank} says count, type, root = {what}, another says {told}")

    def _turn(self, key: Any) -> int:
        self._turns[key] = self._turns.get(key, 0) + 1
        return self._turns[key]

    def _check_peer(self, peer: int) -> None:
        if not 0 <= peer < self._size:
            raise NcclError(4, "NCCL_ERROR_INVALID_ARGUMENT: invalid argument")
