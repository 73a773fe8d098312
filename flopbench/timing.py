"""The only clock in the project, and what is computed from its readings. Kernels never see it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from flopbench.kernel_api import Comm
from flopbench.results import Spread

#: Seconds from an arbitrary zero, monotonic. Tests hand in a fake.
Clock = Callable[[], float]

clock: Clock = time.perf_counter


def timed(run: Callable[[], None], comm: Comm, now: Clock = clock) -> float:
    """Seconds that `run` takes: barrier, start, run, stop, then the largest over the ranks (HPL 2.3, HPL_pdtest.c)."""
    comm.barrier()
    start = now()
    run()
    stop = now()
    return comm.max(stop - start)


def spread(times: Sequence[float]) -> Spread:
    """Shortest, median and longest of the repeats, and their range relative to the median."""
    median = statistics.median(times)
    return Spread(
        min_s=min(times), median_s=median, max_s=max(times), relative_range=(max(times) - min(times)) / median
    )


def utc_now() -> str:
    """Date and time in UTC, ISO 8601 with microseconds: for records and for power meters, never for rates."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
