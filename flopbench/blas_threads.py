"""How many threads the loaded BLAS libraries use, from whichever thread that is set.

threadpoolctl 3.8 lets only one thread, the first that asked, change OpenBLAS's threads, and ignores the others without a word. The
harness runs kernels on a thread of their own (flopbench/measure.py), which therefore takes that right over.
"""

from __future__ import annotations

from typing import Any


def take_control() -> None:
    """Let this thread, and no other, set how many threads OpenBLAS uses from now on."""
    import threadpoolctl

    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(openblas, "clear_controlling_thread"):  # older ones let every thread
        openblas.clear_controlling_thread(force=True)


class BlasThreads:
    """Holds every loaded BLAS at `threads` threads until `restore`; `excess` tells of libraries that do not obey."""

    def __init__(self, threads: int) -> None:
        from threadpoolctl import threadpool_limits

        take_control()
        self._threads = threads
        self._limits: Any = threadpool_limits(threads, user_api="blas")

    def excess(self) -> str | None:
        """The libraries that use more threads than they were given, with their numbers; None if there are none."""
        from threadpoolctl import threadpool_info

        found = [
            f"{library['prefix']} {library['num_threads']}"
            for library in threadpool_info()
            if library["user_api"] == "blas" and (library["num_threads"] or 0) > self._threads
        ]
        return f"{', '.join(found)} instead of {self._threads}" if found else None

    def restore(self) -> None:
        """Give back the numbers from before; may be called twice."""
        if self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None
