"""What the block-cyclic LU costs besides BLAS and MPI: per panel, per column of the pivot exchange, and in memory.

    mpiexec -bind-to core -n 2 python tests/experiments/lu/overheads.py panel
    python tests/experiments/lu/overheads.py bare --n 2000
    mpiexec -bind-to core -n 2 python tests/experiments/lu/overheads.py exchange
    mpiexec -n 2 python tests/experiments/lu/overheads.py memory --grid 2x1 --n 8000

panel: the time of a whole step where arithmetic is next to nothing: what is done once a panel, BLAS and MPI included, so an upper bound.
bare: the time of a step of NB = 200 on one rank whose BLAS does nothing, so what is left is ours: Python, row moves, pivot search.
exchange: the panel's agreement on a pivot of 2 x NB + 4 doubles, against the library's own Allreduce of the same message, alternating.
memory: peak resident size of each rank beyond what it had before setup, against its share of 8 N^2 plus panels.
"""

import argparse
import ctypes
import resource

import numpy as np
from flopbench_kernels.device.blas import Blas
from flopbench_kernels.lu_blockcyclic.kernel import LuFp64Numba
from flopbench_kernels.lu_blockcyclic.pivot_exchange import PivotExchange
from runs import middle, run

from flopbench import timing
from flopbench.comm import SelfComm, world
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem

REPEATS = 7
MUST_HOLD = 1.15


def panel(comm, asked):
    """Milliseconds per step where arithmetic is nothing: N = 800 at NB = 4 is 200 steps of at most 800 x 800 x 8 FLOP."""
    nb, n = 4, 800
    for p, q in ((1, 1), *(((1, comm.size), (comm.size, 1)) if comm.size > 1 else ())):
        alone = SelfComm() if p * q == 1 else comm
        if p * q == 1 and comm.rank:
            continue
        run(alone, n, nb, p, q)
        steps = [run(alone, n, nb, p, q)[0] / (n / nb) * 1e3 for _ in range(REPEATS)]
        if comm.rank == 0:
            print(f"step of NB = {nb} at N = {n} on {p}x{q}: {middle(steps)} ms, BLAS and MPI included")


class WithoutBlas(LuFp64Numba):
    """Every BLAS call goes to getpid(2), which takes any arguments and returns at once."""

    def option(self, name):
        return "blas"  # for the update, too

    NOTHING = Blas(*[ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value] * 2, "nothing")

    def host_blas(self):
        return self.NOTHING

    def make_device(self, threads, comm):
        device = super().make_device(threads, comm)
        device._blas = self.NOTHING
        return device


def bare(comm, asked):
    """Milliseconds per panel without BLAS, on one rank and one thread."""
    panels = -(-asked.n // asked.nb)
    run(comm, asked.n, asked.nb, 1, 1, kernel_class=WithoutBlas)
    steps = [run(comm, asked.n, asked.nb, 1, 1, kernel_class=WithoutBlas)[0] / panels * 1e3 for _ in range(REPEATS)]
    print(f"step of NB = {asked.nb} at N = {asked.n} without BLAS: {middle(steps)} ms")


def exchange(comm, asked):
    """Microseconds per column, this exchange and Allreduce of the same doubles."""
    from mpi4py import MPI

    agreed = PivotExchange(comm.mpi, asked.nb)
    message, result = np.zeros(agreed.message.size), np.zeros(agreed.message.size)
    rounds = 2000
    ways = {
        "pivot exchange": lambda: [agreed.run(asked.nb) for _ in range(rounds)],
        "Allreduce": lambda: [comm.mpi.Allreduce(message, result, MPI.MAX) for _ in range(rounds)],
    }
    taken = {name: [] for name in ways}
    for repeat in range(REPEATS + 1):
        for name, way in ways.items():
            seconds = timing.timed(way, comm) / rounds
            if repeat:  # the first warms up
                taken[name].append(seconds * 1e6)
    if comm.rank == 0:
        for name, each in taken.items():
            print(f"{name} of {message.size} doubles on {comm.size} ranks: {middle(each)} us")
        print(f"ratio: {middle([a / b for a, b in zip(*taken.values(), strict=True)])}, must be below 3")


def memory(comm, asked):
    """Peak resident bytes per rank over its share."""
    p, q = (int(side) for side in asked.grid.split("x"))
    run(comm, 500, asked.nb, p, q)  # loads and compiles everything
    before = resident()
    kernel = LuFp64Numba()
    problem = LuProblem(asked.n, asked.nb, HplMatrix(asked.n), p, q)
    run(comm, asked.n, asked.nb, p, q)
    grown = peak() - before
    share = 8 * asked.n**2 / (p * q)
    panels = kernel.memory_bytes(problem) - share
    for rank, told in enumerate(comm.gather((grown, share)) or []):
        limit = MUST_HOLD * share + panels
        print(f"rank {rank} of {asked.grid}, N = {asked.n}: peak {told[0] / 2**20:.0f} MiB beyond start-up ({before / 2**20:.0f} MiB), "
              f"share of 8 N^2 {share / 2**20:.0f} MiB, ratio {told[0] / share:.3f}; limit {limit / 2**20:.0f} MiB")  # fmt: skip


def resident():
    """Bytes of this process in memory now."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def peak():
    """The most that this process ever had in memory, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("panel", "bare", "exchange", "memory"))
    parser.add_argument("--grid", default="1x2")
    parser.add_argument("--n", type=int, default=8000)
    parser.add_argument("--nb", type=int, default=200)
    asked = parser.parse_args()
    {"panel": panel, "bare": bare, "exchange": exchange, "memory": memory}[asked.what](world(), asked)


if __name__ == "__main__":
    main()
