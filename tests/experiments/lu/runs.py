"""What the experiments on the block-cyclic LU share: one run of a problem on the ranks of this job, with its phases."""

import statistics

from flopbench_kernels.lu_blockcyclic.kernel import LuFp64Numba
from threadpoolctl import threadpool_limits

from flopbench import timing
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem, LuTuning, Settings
from flopbench.machine.detect import detect
from flopbench.phases import PhaseClock, mean_over_ranks


def run(comm, n, nb, p, q, tuning=None, kernel_class=LuFp64Numba):
    """Seconds of one run with one thread a rank, and the seconds of its phases, mean over the ranks. Collective."""
    clock = PhaseClock()
    kernel = kernel_class(Settings(threads=1, observer=clock))
    problem = LuProblem(n, nb, HplMatrix(n), p, q, tuning=tuning or LuTuning())
    with threadpool_limits(1):
        kernel.setup(problem, comm, detect())
        try:
            kernel.reset()
            clock.begin()
            seconds = timing.timed(kernel.run, comm)
            return seconds, mean_over_ranks(clock.end(), comm)
        finally:
            kernel.close()


def best(comm, repeats, *problem):
    """The shortest of `repeats` runs, with its phases."""
    return min((run(comm, *problem) for _ in range(repeats)), key=lambda pair: pair[0])


def middle(values):
    """Median and range in one string, in the unit of the values."""
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"
