"""Which node is slow: a short LU on every node at once, each node by itself, and the nodes that fall behind the median."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from flopbench import timing
from flopbench.comm import MpiComm, SelfComm
from flopbench.errors import NotPossible
from flopbench.flops import lu_solve_flops
from flopbench.hpl_matrix import HPL_SEED, HplMatrix
from flopbench.kernel_api import Comm, Kernel, LuProblem
from flopbench.verify import lu as verify_lu

BELOW_MEDIAN = 0.10
REPEATS = 3
N_PER_CORE = 2500  # N grows with the square root of the cores, so that every core has the same share of the matrix


@dataclass(frozen=True)
class Node:
    """What one node did: the best rate of its repeats, and the worst verdict."""

    host: str
    ranks: int
    n: int
    flops: float
    verdict: str


def node_comm(comm: Comm) -> Comm:
    """The ranks of this rank's node. Collective."""
    if comm.mpi is None:
        return SelfComm()
    from mpi4py import MPI

    return MpiComm(comm.mpi.Split_type(MPI.COMM_TYPE_SHARED))


def screen(comm: Comm, local: Comm, kernel: Kernel, machine: Any, threads: int, nb: int, n: int | None) -> list[Node]:
    """Run on all nodes at once; every node on rank 0, slowest first, an empty list elsewhere. Collective."""
    if local.size > 1 and not kernel.distributed:
        raise NotPossible(
            f"{kernel.name} runs on one rank, and {local.size} share {machine.hostname}; use lu_fp64_numba"
        )
    order = n or int(N_PER_CORE * (local.size * threads) ** 0.5) // nb * nb or nb
    best, verdict = 0.0, "UNCHECKED"
    for size, repeats in ((min(order, 4 * nb), 1), (order, REPEATS)):  # the first is the warm-up
        problem = LuProblem(size, nb, HplMatrix(size, HPL_SEED, threads), 1, local.size, HPL_SEED)
        try:
            kernel.setup(problem, local, machine)
            seconds = []
            for _ in range(repeats):
                kernel.reset()
                comm.barrier()
                seconds.append(timing.timed(kernel.run, local))
            verdict = verify_lu.check(problem, kernel.outcome(), local, threads).verdict
        finally:
            kernel.close()
        best = lu_solve_flops(size) / min(seconds)
    told = comm.gather(Node(machine.hostname, local.size, order, best, verdict) if local.rank == 0 else None)
    return sorted((node for node in told if node is not None), key=lambda node: node.flops) if told else []


def suspects(nodes: list[Node]) -> list[Node]:
    """Nodes more than a tenth below the median, or with a wrong answer."""
    median = statistics.median(node.flops for node in nodes)
    return [node for node in nodes if node.flops < (1.0 - BELOW_MEDIAN) * median or node.verdict == "FAILED"]
