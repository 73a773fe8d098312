"""The broadcast of a factored panel along a process row, in HPL's ways, none of which blocks (HPL 2.3, BCAST; HPL_1ring.c ff.).

Ranks are counted from the root: 0 is the root, 1 the owner of the next panel, which is in a hurry.

    1ring    0 -> 1 -> 2 -> ... -> Q-1
    1ringM   0 -> 1;  0 -> 2 -> 3 -> ...          the hurried one is spared the forwarding
    2ring    0 -> 1 -> ... ;  0 -> Q/2 -> ...     two rings, half as long
    2ringM   0 -> 1;  then two rings over the rest
    long     the root deals out pieces, which then go round: everybody sends as much as he receives
    longM    0 -> 1 in one;  long among the others
    mpi      the library's own Ibcast

A broadcast moves on whenever it is polled; `finish` waits for the data, `close` until the buffer may be written again.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Broadcast:
    """One panel on its way. The base of all ways: the requests of the current stage, and stages in order."""

    def __init__(self, comm: Any, root: int, buffer: np.ndarray, tag: int) -> None:
        """`buffer`: float64, contiguous; full on the root, overwritten elsewhere. Collective over the row; returns at once."""
        self.comm, self.root, self.buffer, self.tag = comm, root, buffer, tag
        self.size: int = comm.Get_size()
        self.place: int = (comm.Get_rank() - root) % self.size
        self.arriving: list[Any] = []
        self.leaving: list[Any] = []
        self.start()

    def start(self) -> None:
        """Post the first requests."""
        raise NotImplementedError

    def go_on(self) -> None:
        """What was awaited is here: post the next requests, or none if the panel is complete."""

    def poll(self) -> bool:
        """Move on as far as possible without waiting. True when the panel is here."""
        while self.arriving:
            self.arriving = [request for request in self.arriving if not request.Test()]
            if self.arriving:
                return False
            self.go_on()
        self.leaving = [request for request in self.leaving if not request.Test()]
        return True

    def finish(self) -> None:
        """Wait until the panel is here."""
        while self.arriving:
            for request in self.arriving:
                request.Wait()
            self.arriving = []
            self.go_on()

    def close(self) -> None:
        """Wait until nobody needs the buffer any more."""
        self.finish()
        for request in self.leaving:
            request.Wait()
        self.leaving = []

    def send(self, place: int, part: np.ndarray) -> None:
        self.leaving.append(self.comm.Isend(part, (place + self.root) % self.size, self.tag))

    def receive(self, place: int, part: np.ndarray) -> None:
        self.arriving.append(self.comm.Irecv(part, (place + self.root) % self.size, self.tag))


class Ring(Broadcast):
    """Whole panels along one or two rings."""

    modified = False
    rings = 1

    def start(self) -> None:
        if self.place == 0:
            self._forward()
        else:
            self.receive(self._source(), self.buffer)

    def go_on(self) -> None:
        self._forward()

    def heads(self) -> list[int]:
        """The first rank of every ring."""
        first = 2 if self.modified else 1
        if self.rings == 1 or self.size - first < 2:
            return [first] if first < self.size else []
        return [first, first + (self.size - first + 1) // 2]

    def _source(self) -> int:
        return 0 if self.place in self.heads() or (self.modified and self.place == 1) else self.place - 1

    def _forward(self) -> None:
        heads = self.heads()
        if self.place == 0:
            targets = ([1] if self.modified else []) + heads
        elif self.modified and self.place == 1:
            targets = []
        else:
            targets = [self.place + 1] if self.place + 1 not in heads else []
        for target in targets:
            if target < self.size:
                self.send(target, self.buffer)


class ModifiedRing(Ring):
    modified = True


class TwoRings(Ring):
    rings = 2


class ModifiedTwoRings(Ring):
    modified = True
    rings = 2


class Long(Broadcast):
    """Spread and roll: a piece to everyone, then every piece once round."""

    modified = False

    def start(self) -> None:
        self.turn = 0
        self.members = [place for place in range(self.size) if not (self.modified and place == 1)]
        if self.modified and self.size > 1:
            if self.place == 0:
                self.send(1, self.buffer)
            elif self.place == 1:
                self.receive(0, self.buffer)
                return
        self.index = self.members.index(self.place)
        if len(self.members) == 1:
            return
        if self.index == 0:
            for index in range(1, len(self.members)):
                self.send(self.members[index], self._piece(index))
            self._roll()
        else:
            self.receive(0, self._piece(self.index))

    def go_on(self) -> None:
        if not (self.modified and self.place == 1):
            self._roll()

    def _roll(self) -> None:
        """Turn t: pass on the piece that came t turns ago. The root has everything: it only sends."""
        count = len(self.members)
        while self.turn < count - 1:
            turn, self.turn = self.turn, self.turn + 1
            after = (self.index + 1) % count
            if after != 0:
                self.send(self.members[after], self._piece((self.index - turn) % count))
            if self.index != 0:
                self.receive(self.members[self.index - 1], self._piece((self.index - turn - 1) % count))
                return

    def _piece(self, index: int) -> np.ndarray:
        count = len(self.members)
        return self.buffer[self.buffer.size * index // count : self.buffer.size * (index + 1) // count]


class ModifiedLong(Long):
    modified = True


class Library(Broadcast):
    """MPI_Ibcast."""

    def start(self) -> None:
        request = self.comm.Ibcast(self.buffer, self.root)
        (self.leaving if self.place == 0 else self.arriving).append(request)


WAYS: dict[str, type[Broadcast]] = {
    "1ring": Ring,
    "1ringM": ModifiedRing,
    "2ring": TwoRings,
    "2ringM": ModifiedTwoRings,
    "long": Long,
    "longM": ModifiedLong,
    "mpi": Library,
}
