"""P x Q for a number of ranks: HPL's own scalability model, with this network's latency and bandwidth as measured."""

from __future__ import annotations

import math

import numpy as np

from flopbench import timing
from flopbench.kernel_api import Comm
from flopbench.results import PlanLine

_SMALL, _LARGE = 1, 1 << 17  # doubles in a message
_ROUNDS = 20


def overhead(p: int, q: int, n: int, nb: int, latency_s: float, seconds_per_double: float) -> float:
    """Seconds that communication adds per 2 N^3 / (3 P Q) of arithmetic, times N^3: only comparisons between grids matter.

    3 b (3P + Q) / (4 N) + 3 a P Q ((NB + 1) log2 P + P) / (2 N^2 NB): the terms of parallel efficiency in HPL's scalability page
    (netlib.org/benchmark/hpl/scalability.html) without their common factor g3; a is the latency, b the time per double.
    """
    by_bandwidth = 3.0 * seconds_per_double * (3 * p + q) / (4.0 * n)
    by_latency = 3.0 * latency_s * p * q * ((nb + 1) * math.log2(p) + p) / (2.0 * n * n * nb)
    return by_bandwidth + by_latency


def choose(ranks: int, n: int, nb: int, latency_s: float, seconds_per_double: float) -> tuple[int, int]:
    """The grid of all `ranks` whose communication costs least."""
    grids = [(p, ranks // p) for p in range(1, ranks + 1) if ranks % p == 0]
    return min(grids, key=lambda grid: overhead(*grid, n, nb, latency_s, seconds_per_double))


def chosen(comm: Comm, n: int, nb: int) -> tuple[tuple[int, int], PlanLine | None]:
    """The grid for the ranks of `comm` and, where there is a choice, its reason. Collective: measures the network first."""
    if comm.size == 1:
        return (1, 1), None
    latency, per_double = measure_network(comm)
    grid = choose(comm.size, n, nb, latency, per_double)
    reason = (
        f"HPL's scalability model at N = {n}, with {latency * 1e6:.1f} us and {8e-9 / per_double:.2f} GB/s "
        f"measured between ranks 0 and {comm.size - 1}"
    )
    return grid, PlanLine(choice="grid", value=f"{grid[0]} x {grid[1]}", reason=reason)


def measure_network(comm: Comm, now: timing.Clock = timing.clock) -> tuple[float, float]:
    """Seconds of the shortest message and per double of a long one, between the first and the last rank. Collective."""
    small, large = (_ping_pong(comm, size, now) for size in (_SMALL, _LARGE))
    latency = max(small, 1e-9)
    return comm.bcast((latency, max((large - small) / _LARGE, 1e-12)))


def _ping_pong(comm: Comm, doubles: int, now: timing.Clock) -> float:
    """Half the shortest round trip, on rank 0."""
    message = np.zeros(doubles)
    partner = {0: comm.size - 1, comm.size - 1: 0}.get(comm.rank)
    best = math.inf
    comm.barrier()
    for _ in range(_ROUNDS if partner is not None else 0):
        start = now()
        if comm.rank == 0:
            comm.mpi.Send(message, partner)
            comm.mpi.Recv(message, partner)
        else:
            comm.mpi.Recv(message, partner)
            comm.mpi.Send(message, partner)
        best = min(best, (now() - start) / 2)
    comm.barrier()
    return best
