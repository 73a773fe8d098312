"""A job of several ranks comes to one end: a fault on one rank ends all of them, with one message and a non-zero exit code.

A rank that fails does not know whether the others fail too (all were given the same bad option) or wait for it (it alone ran out of
memory). It waits a moment at a barrier that only failing ranks enter. If all come, rank 0 speaks and everybody leaves in order. If not,
the rank says who and where it is, and aborts the job: nobody hangs.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from flopbench.launcher import launched_rank, launched_ranks

GRACE_S = 3.0  # how long a failing rank waits for the others to fail too
FORWARD_S = 1.0  # between the last word and an abort
KEEP_S = 5.0  # how long ranks linger after an interruption, so that rank 0 can save what is finished


def mpi_in_use() -> Any:
    """mpi4py's MPI module if this process has initialised it, else None."""
    module = sys.modules.get("mpi4py.MPI")
    if module is None or not module.Is_initialized() or module.Is_finalized():
        return None
    return module


def may_speak() -> bool:
    """Whether this process is the one that prints what concerns the whole job: rank 0, or alone."""
    mpi = mpi_in_use()
    together = mpi is not None and mpi.COMM_WORLD.Get_size() > 1
    return (mpi.COMM_WORLD.Get_rank() if together else launched_rank()) == 0


def report(message: str, code: int, say: Callable[[str], None]) -> None:
    """Tell the job's user once that this rank ends with `message`. Returns if the process may leave in order, else aborts the job."""
    mpi = mpi_in_use()
    if mpi is None or mpi.COMM_WORLD.Get_size() == 1:
        if may_speak():
            say(message)
        return
    rank = mpi.COMM_WORLD.Get_rank()
    if everybody_came(mpi, GRACE_S + 0.1 * min(rank, 20)):
        if rank == 0:
            say(message)
        return
    say(f"rank {rank} on {socket.gethostname()}: {message}; the job is ended")
    abort(code)


def everybody_came(mpi: Any, seconds: float) -> bool:
    """Whether all ranks fail within `seconds`: a barrier of failing ranks, on a communicator that nothing else uses."""
    request = faults_communicator(mpi).Ibarrier()
    end = time.monotonic() + seconds
    while not request.Test():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


_faults: Any = None


def faults_communicator(mpi: Any) -> Any:
    """The communicator of failing ranks. Collective on its first call, which comes before any work (prepare)."""
    global _faults
    if _faults is None:
        _faults = mpi.COMM_WORLD.Dup()
    return _faults


def prepare() -> None:
    """Collective, once MPI is there: what `report` needs later."""
    mpi = mpi_in_use()
    if mpi is not None:
        faults_communicator(mpi)


def abort(code: int) -> None:
    """End all ranks, as soon as the launcher has had time to pass on what was said: an abort kills what it has not forwarded yet."""
    sys.stdout.flush()
    sys.stderr.flush()
    mpi = mpi_in_use()
    if mpi is not None and launched_ranks() > 1:
        time.sleep(FORWARD_S)
        mpi.COMM_WORLD.Abort(code)
    os._exit(code)


def crash(error: BaseException) -> None:
    """An error that nobody expected: who and what in one line, the traceback for whoever mends it, then the end of the job."""
    line = f"flopbench: rank {launched_rank()} on {socket.gethostname()}: {type(error).__name__}; the job is ended"
    sys.stderr.write("\n".join([line, *traceback.format_exception(error)]))
    abort(1)


def linger_after_interrupt() -> None:
    """Ranks above 0 wait, since launchers kill the whole job as soon as one rank is gone."""
    mpi = mpi_in_use()
    if mpi is not None and mpi.COMM_WORLD.Get_rank() > 0:
        time.sleep(KEEP_S)
