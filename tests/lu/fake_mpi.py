"""Ranks as threads: the calls of mpi4py that the LU uses, with the strictest behaviour that MPI allows.

A send completes only when its receive has been posted (nothing is buffered), so code that relies on buffering stands still here; and what
stands still is found: a rank that waits longer than `PATIENCE_S` raises. Before every call a rank may be delayed.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict, deque
from typing import Any

import numpy as np

PATIENCE_S = 30.0


class Deadlock(Exception):
    """A rank has waited for too long."""


class World:
    """What the ranks share."""

    def __init__(self, delay=None):
        self.changed = threading.Condition()
        self.sends = defaultdict(deque)  # (comm, source, target, tag) -> requests without a partner
        self.receives = defaultdict(deque)
        self.deposits = defaultdict(dict)  # (comm, number of the collective) -> rank -> value
        self.names = itertools.count(1)
        self.fault = None
        self.delay = delay or (lambda rank: None)

    def wait_for(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(lambda: condition() or self.fault, PATIENCE_S):
                raise Deadlock(what)
            if not condition():
                raise Deadlock(f"{what}: another rank failed")


class Request:
    def __init__(self, world, array, what):
        self.world, self.array, self.what, self.done = world, array, what, False

    def Test(self):
        with self.world.changed:
            return self.done

    def Wait(self):
        self.world.wait_for(lambda: self.done, self.what)


class BroadcastRequest(Request):
    def __init__(self, world, array, what, box, root):
        super().__init__(world, array, what)
        self.box, self.root = box, root

    def Test(self):
        with self.world.changed:
            if not self.done and self.root in self.box:
                self.array[:] = self.box[self.root]
                self.done = True
            return self.done

    def Wait(self):
        self.world.wait_for(self.Test, self.what)


class FakeMpi:
    """A communicator."""

    def __init__(self, world, rank, members, name=0):
        self.world, self.rank, self.members, self.name = world, rank, members, name
        self.collectives = 0

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return len(self.members)

    def Isend(self, array, target, tag=0):
        return self._post(array, (self.name, self.rank, target, tag), self.world.sends, self.world.receives, False)

    def Irecv(self, array, source, tag=0):
        return self._post(array, (self.name, source, self.rank, tag), self.world.receives, self.world.sends, True)

    def Send(self, array, target, tag=0):
        self.Isend(array, target, tag).Wait()

    def Recv(self, array, source, tag=0):
        self.Irecv(array, source, tag).Wait()

    def Sendrecv(self, array, target, tag, into, source, into_tag):
        requests = (self.Irecv(into, source, into_tag), self.Isend(array, target, tag))
        for request in requests:
            request.Wait()

    def Bcast(self, array, root=0):
        array[:] = self._exchange(array.copy() if self.rank == root else None)[root]

    def Ibcast(self, array, root=0):
        box, what = self._deposit(array.copy() if self.rank == root else None, only=self.rank == root)
        return BroadcastRequest(self.world, array, what, box, root)

    def Reduce(self, array, into, root=0):
        parts = self._exchange(array.copy())
        if self.rank == root:
            into[:] = sum(parts)

    def Allreduce(self, array, into):
        into[:] = sum(self._exchange(array.copy()))

    def allgather(self, value):
        return self._exchange(value)

    def Split(self, color, key):
        told = self._exchange((color, key, self.members[self.rank]))
        name = self._exchange(next(self.world.names) if self.rank == 0 else None)[0]
        same = sorted((k, rank) for rank, (c, k, _) in enumerate(told) if c == color)
        ranks = [rank for _, rank in same]
        return FakeMpi(self.world, ranks.index(self.rank), [told[r][2] for r in ranks], (name, color))

    def Free(self):
        pass

    def _post(self, array, key, mine, theirs, receiving):
        self.world.delay(self.members[self.rank])
        assert array.flags.c_contiguous and array.dtype == np.float64
        request = Request(
            self.world, array, f"rank {self.members[self.rank]}: {'receive' if receiving else 'send'} {key}"
        )
        with self.world.changed:
            if theirs[key]:
                other = theirs[key].popleft()
                into, source = (array, other.array) if receiving else (other.array, array)
                assert into.size == source.size, f"{request.what}: {into.size} against {source.size}"
                into[:] = source
                request.done = other.done = True
                self.world.changed.notify_all()
            else:
                mine[key].append(request)
        return request

    def _deposit(self, value: Any, only: bool = True):
        self.world.delay(self.members[self.rank])
        key = (self.name, self.collectives)
        self.collectives += 1
        box = self.world.deposits[key]
        with self.world.changed:
            if only:
                box[self.rank] = value
            self.world.changed.notify_all()
        return box, f"rank {self.members[self.rank]}: collective {key}"

    def _exchange(self, value):
        box, what = self._deposit(value)
        self.world.wait_for(lambda: len(box) == len(self.members), what)
        return [box[rank] for rank in range(len(self.members))]


class FakeComm:
    """flopbench's Comm over a FakeMpi."""

    def __init__(self, mpi):
        self.mpi, self.rank, self.size = mpi, mpi.rank, len(mpi.members)

    def barrier(self):
        self.mpi.allgather(None)

    def max(self, value):
        return max(self.mpi.allgather(value))

    def sum_array(self, values):
        return sum(self.mpi.allgather(values.copy()))

    def max_array(self, values):
        return np.maximum.reduce(self.mpi.allgather(values.copy()))

    def gather(self, value):
        told = self.mpi.allgather(value)
        return told if self.rank == 0 else None

    def bcast(self, value):
        return self.mpi.allgather(value)[0]


def run_ranks(size, body, delay=None):
    """body(comm) on `size` ranks at once; their results in order. Raises the first fault, if any."""
    world = World(delay)
    results = [None] * size
    faults = []

    def rank_body(rank):
        try:
            results[rank] = body(FakeComm(FakeMpi(world, rank, list(range(size)))))
        except BaseException as error:
            faults.append(error)
            with world.changed:
                world.fault = error
                world.changed.notify_all()

    threads = [threading.Thread(target=rank_body, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    unmatched = [request.what for queue in (world.sends, world.receives) for q in queue.values() for request in q]
    assert not unmatched, f"never matched: {unmatched}"
    return results
