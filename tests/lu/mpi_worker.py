"""Runs sampled cases of the block-cyclic LU on the ranks of a real MPI, and says how many were right. Started by test_real_mpi.py.

Usage: mpi_worker.py FIRST_SEED COUNT DELAY; the seed of a wrong case is printed. With DELAY 1 every message is held up at random.
"""

import random
import sys
import time

from cases import FACTS, Case, faults
from flopbench_kernels.lu_blockcyclic.broadcast import WAYS

from flopbench.comm import MpiComm, world
from flopbench.kernel_api import LuTuning

GRIDS = {2: ((1, 2), (2, 1)), 3: ((1, 3), (3, 1), (1, 2)), 4: ((1, 4), (4, 1), (2, 2), (1, 3)), 6: ((2, 3), (3, 2))}


class Delayed:
    """A communicator whose calls wait for a random moment first."""

    def __init__(self, comm, draw):
        self._comm, self._draw = comm, draw

    def __getattr__(self, name):
        method = getattr(self._comm, name)
        if name in ("Get_rank", "Get_size", "Free"):
            return method

        def late(*arguments, **named):
            if self._draw.random() < 0.2:
                time.sleep(self._draw.random() * 2e-3)
            result = method(*arguments, **named)
            return Delayed(result, self._draw) if name == "Split" else result

        return late


def case_of(seed, ranks):
    draw = random.Random(seed)
    p, q = draw.choice(GRIDS[ranks])
    tuning = LuTuning(
        pmap=draw.choice(("row", "column")),
        depth=draw.randrange(4),
        bcast=draw.choice(sorted(WAYS)),
        rfact=draw.choice(FACTS),
        ndiv=draw.randint(2, 4),
        pfact=draw.choice(FACTS),
        nbmin=draw.randint(1, 16),
        swap=draw.choice(("binexch", "long", "mix")),
        swap_threshold=draw.randrange(100),
    )
    return Case(draw.randint(1, 200), draw.randint(4, 64), p, q, threads=draw.randint(1, 2), tuning=tuning)


def main():
    first, count, delay = (int(argument) for argument in sys.argv[1:4])
    comm = world()
    wrong = 0
    for seed in range(first, first + count):
        case = case_of(seed, comm.size)
        used = MpiComm(Delayed(comm.mpi, random.Random(1000 * seed + comm.rank))) if delay else comm
        found = faults(case, *case.run(used))
        if found:
            print(f"seed {seed}, rank {comm.rank}: {case}: {found}", flush=True)
        wrong += bool(found)
    wrong = comm.max(float(wrong))
    if comm.rank == 0:
        print(f"{count} cases, {wrong:.0f} wrong", flush=True)


main()
