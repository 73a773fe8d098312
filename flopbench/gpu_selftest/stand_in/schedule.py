"""Streams and events as CUDA defines them, with the freedom that CUDA has: when an operation runs is up to the policy.

    eager     at once, in the order of submission: what a debugger shows
    lazy      as late as allowed: only when the host waits for it, so that whoever forgets to wait reads stale data
    random    some allowed order, from a seed

Beside it, vector clocks keep what is ordered before what (Fidge 1988, Mattern 1989): two operations that touch the same bytes, one of them
writing, and that no chain of events orders, are a race, whatever order they happened to run in. The host is a participant too: its writes
to pinned memory are noticed because the bytes have changed since the last operation.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import Arena, Region, matrix

HOST = 0


@dataclass
class Operation:
    name: str
    action: Callable[[], None]


@dataclass
class Mark:
    """One recording of an event: a place in a stream. `clock` is what is known to have happened there."""

    stream: Stream
    clock: dict[int, int]
    fired: bool = False


@dataclass
class Wait:
    mark: Mark


class Event:
    """Stands for its latest recording; before the first one it counts as done, as in CUDA."""

    def __init__(self, schedule: Schedule) -> None:
        schedule.count("event")
        self.schedule = schedule
        self.mark: Mark | None = None

    def record(self, stream: Stream) -> None:
        self.schedule.count("event.record")
        self.mark = Mark(stream, dict(self.schedule.submitted(stream)))
        stream.queue.append(self.mark)
        self.schedule.proceed()

    @property
    def done(self) -> bool:
        self.schedule.proceed()
        if self.mark and self.mark.fired:
            self.schedule.learn(self.mark.clock)
        return self.mark is None or self.mark.fired

    def synchronize(self) -> None:
        self.schedule.count("event.synchronize")
        if self.mark:
            self.schedule.force(self.mark)
            self.schedule.learn(self.mark.clock)


@dataclass
class Access:
    region: Region
    write: bool
    who: int
    time: int
    name: str


class Stream:
    """A queue. As a context manager it becomes the current stream, on which cuBLAS and kernels run."""

    def __init__(self, schedule: Schedule, ptr: int) -> None:
        self.schedule = schedule
        self.ptr = ptr
        self.queue: deque[Operation | Mark | Wait] = deque()
        self.clock: dict[int, int] = {ptr: 0}

    def wait_event(self, event: Event) -> None:
        self.schedule.count("stream.wait_event")
        if event.mark:
            merge(self.clock, event.mark.clock)
            self.queue.append(Wait(event.mark))
        self.schedule.proceed()

    def synchronize(self) -> None:
        self.schedule.count("stream.synchronize")
        self.schedule.drain(self)
        self.schedule.learn(self.clock)

    def __enter__(self) -> Stream:
        self.schedule.current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.schedule.current.pop()


class Schedule:
    """All streams of a run, what they have queued, what ran, and the races."""

    def __init__(self, arena: Arena, policy: str = "eager", seed: int = 0) -> None:
        if policy not in ("eager", "lazy", "random"):
            raise ValueError(f"policy must be eager, lazy or random, got {policy!r}")
        self.arena = arena
        self.policy = policy
        self.random = random.Random(seed)
        self.streams: dict[int, Stream] = {}
        self.current: list[Stream] = []
        self.host_clock: dict[int, int] = {HOST: 0}
        self.accesses: list[Access] = []
        self.races: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.keep: list[object] = []  # owners that live as long as the run
        self._numbers = itertools.count(1)
        self._pinned: dict[int, np.ndarray] = {}

    def new_stream(self) -> Stream:
        self.count("stream")
        stream = Stream(self, next(self._numbers))
        self.streams[stream.ptr] = stream
        return stream

    def stream_of_call(self, who: str) -> Stream:
        """The current stream. AssertionError outside `with stream:`: CUDA would take the null stream, which is not ordered with ours."""
        assert self.current, f"{who} was called outside `with stream:`"
        return self.current[-1]

    def count(self, call: str) -> None:
        """Log one call of a library."""
        self.calls.append(call)

    # order --------------------------------------------------------------------------------------------------------

    def submit(
        self, stream: Stream, name: str, reads: Iterable[Region], writes: Iterable[Region], action: Callable[[], None]
    ) -> None:
        """Queue an operation on `stream`; it may touch just these regions."""
        self.count(name)
        self.notice_host_writes()
        clock = self.submitted(stream)
        clock[stream.ptr] += 1
        self._check(name, stream.ptr, clock, reads, writes)
        stream.queue.append(Operation(name, action))
        self.proceed()
        self.remember_pinned()

    def submitted(self, stream: Stream) -> dict[int, int]:
        """The stream's clock, knowing all that the host knew when it submitted."""
        merge(stream.clock, self.host_clock)
        return stream.clock

    def learn(self, clock: dict[int, int]) -> None:
        """The host has waited for something that happened at `clock`."""
        merge(self.host_clock, clock)
        self.remember_pinned()

    def notice_host_writes(self) -> None:
        """Pinned bytes that changed since the last operation were written by the host: check that nothing still used them."""
        for start, before in self._pinned.items():
            changed = np.flatnonzero(_bytes_at(start, len(before)) != before)
            if changed.size:
                region = Region(start + int(changed[0]), int(changed[-1] - changed[0]) + 1, 1, 1)
                self.host_clock[HOST] += 1
                self._check("the host", HOST, self.host_clock, (), (region,))

    def host_reads(self, name: str, region: Region) -> None:
        """Tests say so where the host reads pinned memory, as reading leaves no trace."""
        self.host_clock[HOST] += 1
        self._check(name, HOST, self.host_clock, (region,), ())

    def host_writes(self, name: str, region: Region) -> None:
        """Tests say so where an MPI library writes device memory."""
        self.host_clock[HOST] += 1
        self._check(name, HOST, self.host_clock, (), (region,))

    def remember_pinned(self) -> None:
        """Take the pinned bytes as they are now for what the operations so far have left."""
        if self.policy == "eager":
            self._pinned = {b.start: _bytes_at(b.start, b.size).copy() for b in self.arena.blocks("pinned")}

    def _check(
        self, name: str, who: int, clock: dict[int, int], reads: Iterable[Region], writes: Iterable[Region]
    ) -> None:
        new = [Access(r, False, who, clock[who], name) for r in reads if not r.empty()]
        new += [Access(r, True, who, clock[who], name) for r in writes if not r.empty()]
        for mine in new:
            for other in self.accesses:
                ordered = other.who == who or clock.get(other.who, 0) >= other.time
                if not ordered and (mine.write or other.write) and mine.region.overlaps(other.region):
                    self.races.append((other.name, name))
        if self.policy == "eager":
            self.accesses += new

    # execution ----------------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """Let the policy run what it likes."""
        if self.policy == "eager":
            for stream in self.streams.values():
                self.drain(stream)
        elif self.policy == "random":
            for _ in range(self.random.randrange(4)):
                ready = [s for s in self.streams.values() if s.queue and not _blocked(s)]
                if ready:
                    self._step(self.random.choice(ready))

    def force(self, mark: Mark) -> None:
        """Run what must run before `mark`, and no more."""
        while not mark.fired:
            self._step(mark.stream)

    def drain(self, stream: Stream) -> None:
        """Run all that `stream` has queued."""
        while stream.queue:
            self._step(stream)

    def _step(self, stream: Stream) -> None:
        head = stream.queue[0]
        if isinstance(head, Wait):
            self.force(head.mark)
        stream.queue.popleft()
        if isinstance(head, Mark):
            head.fired = True
        elif isinstance(head, Operation):
            head.action()


def _blocked(stream: Stream) -> bool:
    head = stream.queue[0]
    return isinstance(head, Wait) and not head.mark.fired


def _bytes_at(address: int, size: int) -> np.ndarray:
    return matrix(address, size, 1, size, "uint8")[:, 0]


def merge(into: dict[int, int], other: dict[int, int]) -> None:
    """The later of the two clocks, entry by entry."""
    for who, time in other.items():
        into[who] = max(into.get(who, 0), time)
