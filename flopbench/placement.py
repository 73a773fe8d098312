"""Ranks on cores: how many a rank may count on, and what is wrong with the way a launcher placed them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flopbench.kernel_api import Comm
from flopbench.machine.model import Machine

_HOW = (
    "bind each rank to cores of its own: Open MPI --map-by slot:PE={t} --bind-to core, MPICH -bind-to core:{t}, "
    "srun -c {t} --cpu-bind=cores"
)


@dataclass(frozen=True)
class Placed:
    """Where one rank is: its host, and the numbers of the hardware threads that it may run on."""

    host: str
    cpus: frozenset[int]


def placement(comm: Comm, machine: Machine) -> list[Placed]:
    """Of every rank, on every rank. Collective."""
    affinity = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    return list(comm.bcast(comm.gather(Placed(machine.hostname, affinity))))


def sharing(placed: list[Placed], rank: int) -> int:
    """How many ranks of the host, `rank` included, may run on a core of `rank`."""
    mine = placed[rank]
    return max(1, sum(1 for other in placed if other.host == mine.host and other.cpus & mine.cpus))


def warnings(placed: list[Placed], threads: int) -> list[str]:
    """What makes ranks take turns: more threads than cores in a mask, or masks that overlap without room for all."""
    found = []
    narrow = [rank for rank, where in enumerate(placed) if where.cpus and len(where.cpus) < threads]
    if narrow:
        first = placed[narrow[0]]
        found.append(
            f"rank {narrow[0]} on {first.host} is bound to {len(first.cpus)} core(s) but runs {threads} threads"
            f"{_and_others(len(narrow))}: they take turns; {_HOW.format(t=threads)}"
        )
    crowded = [rank for rank in range(len(placed)) if rank not in narrow and _is_crowded(placed, rank, threads)]
    if crowded:
        first = placed[crowded[0]]
        others = [r for r, where in enumerate(placed) if where.host == first.host and where.cpus & first.cpus]
        found.append(
            f"{len(others)} ranks of {threads} thread(s) on {first.host} share {len(first.cpus)} core(s) (rank {others[0]} and others): "
            f"they take turns; {_HOW.format(t=threads)}"
        )
    return found


def _is_crowded(placed: list[Placed], rank: int, threads: int) -> bool:
    mine = placed[rank]
    others = [where.cpus for where in placed if where.host == mine.host and where.cpus & mine.cpus]
    return threads * len(others) > len(frozenset().union(*others)) and len(others) > 1


def _and_others(count: int) -> str:
    return f" (and {count - 1} other ranks likewise)" if count > 1 else ""
