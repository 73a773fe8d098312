"""The only clock in the project, and what is computed from its readings. Kernels never see it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flopbench.results import Spread

if TYPE_CHECKING:  # it brings NumPy, which the inventory does not need
    from flopbench.kernel_api import Comm

#: Seconds from an arbitrary zero, monotonic. Tests hand in a fake.
Clock = Callable[[], float]

clock: Clock = time.perf_counter

#: Surrounds exactly what is timed: for meters of energy.
Region = Callable[[], AbstractContextManager[None]]


def timed(run: Callable[[], None], comm: Comm, now: Clock = clock, region: Region | None = None) -> float:
    """Seconds that `run` takes: barrier, start, run, stop, then the largest over the ranks (HPL 2.3, HPL_pdtest.c).

    A `region` begins behind the barrier, so that meters see nothing of the wait for a late rank, and ends when the last rank has stopped:
    it lasts as long as the seconds. Ranks that open it slowly, since they read meters, are waited for before the start. Collective.
    """
    comm.barrier()
    if region is None:
        return _seconds(run, comm, now)
    with region():
        comm.barrier()
        return _seconds(run, comm, now)


def _seconds(run: Callable[[], None], comm: Comm, now: Clock) -> float:
    start = now()
    run()
    stop = now()
    return comm.max(stop - start)


#: settle() looks at so many seconds at a time, calls a process idle below this share of one core, and gives up after so many.
_GLANCE_S, _IDLE_SHARE, _PATIENCE_S = 0.01, 0.2, 1.0


def settle(cpu: Clock = time.process_time, now: Clock = clock, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until this process computes nothing, at most a second.

    Libraries leave their threads spinning after a call, in case there is another: OpenBLAS for 2^28 cycles (THREAD_TIMEOUT), Intel's
    OpenMP for 200 ms (KMP_BLOCKTIME). Until they sleep, they take processor time from whatever is timed next.
    """
    start = now()
    while now() - start < _PATIENCE_S:
        used, began = cpu(), now()
        sleep(_GLANCE_S)
        if cpu() - used < _IDLE_SHARE * (now() - began):
            return


def spread(times: Sequence[float]) -> Spread:
    """Shortest, median and longest of the repeats, their range relative to the median, and the median's 95 % interval."""
    median = statistics.median(times)
    low, high = median_interval(times) or (None, None)
    return Spread(
        min_s=min(times),
        median_s=median,
        max_s=max(times),
        relative_range=(max(times) - min(times)) / median,
        median_low_s=low,
        median_high_s=high,
    )


def median_interval(times: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """The confidence interval of the median from order statistics, whatever the distribution; None if there are too few (95 %: 6).

    [x_(j), x_(n+1-j)] of the sorted times holds the median with probability 1 - 2 P(Bin(n, 1/2) < j); j is the largest that reaches
    `confidence`. Source: H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1.
    """
    n = len(times)
    outside, j = 0, 0
    while 2 * (outside + math.comb(n, j)) <= (1.0 - confidence) * 2**n:
        outside += math.comb(n, j)
        j += 1
    if j == 0:
        return None
    ordered = sorted(times)
    return ordered[j - 1], ordered[n - j]


def utc_now() -> str:
    """Date and time in UTC, ISO 8601 with microseconds: for records and for power meters, never for rates."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
