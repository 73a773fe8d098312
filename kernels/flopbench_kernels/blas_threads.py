"""How many threads the loaded BLAS libraries use, set from whichever thread a kernel runs in.

threadpoolctl 3.8 lets only one thread, the first that asked, change OpenBLAS's threads, and ignores the others without a word. A kernel
runs in a thread of its own (flopbench/measure.py), so it takes that right over, and reads back what it set.
"""

from __future__ import annotations

from typing import Any


class BlasThreads:
    """Holds every loaded BLAS at `threads` threads until `restore`; `excess` tells of libraries that do not obey."""

    def __init__(self, threads: int) -> None:
        import threadpoolctl

        take_over = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", None)
        if take_over is not None:
            take_over(force=True)
        self._threads = threads
        self._limits: Any = threadpoolctl.threadpool_limits(threads, user_api="blas")

    def excess(self) -> str | None:
        """The libraries that use more threads than they were given, with their numbers; None if there are none."""
        import threadpoolctl

        found = [
            f"{library['prefix']} {library['num_threads']}"
            for library in threadpoolctl.threadpool_info()
            if library["user_api"] == "blas" and (library["num_threads"] or 0) > self._threads
        ]
        return f"{', '.join(found)} instead of {self._threads}" if found else None

    def restore(self) -> None:
        """Give back the numbers from before; may be called twice."""
        if self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None
