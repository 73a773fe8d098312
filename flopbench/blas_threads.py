"""How many threads the loaded BLAS libraries use, from whichever thread that is set.

threadpoolctl 3.8 lets only one thread, the first that asked, change OpenBLAS's threads, and ignores the others without a word. The
harness runs kernels on a thread of their own (flopbench/measure.py), which therefore takes that right over.

MKL is the other way round: what threadpoolctl sets there (MKL_Set_Num_Threads_Local) holds for the thread that sets it and for no other.
So each thread that calls BLAS has to hold it for itself.
"""

from __future__ import annotations

from typing import Any


def take_control() -> None:
    """Let this thread, and no other, set how many threads OpenBLAS uses from now on."""
    import threadpoolctl

    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(openblas, "clear_controlling_thread"):  # older ones let every thread
        openblas.clear_controlling_thread(force=True)


def hold_here(threads: int) -> str | None:
    """Hold MKL at `threads` for calls from this thread; what does not obey, or None. The thread that has BlasThreads need not."""
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().select(internal_api="mkl")
    libraries.limit(limits=threads)
    return _excess(libraries.info(), threads)


def _excess(libraries: list[dict[str, Any]], threads: int) -> str | None:
    found = [
        f"{library['prefix']} {library['num_threads']}"
        for library in libraries
        if library["user_api"] == "blas" and (library["num_threads"] or 0) > threads
    ]
    return f"{', '.join(found)} instead of {threads}" if found else None


class BlasThreads:
    """Holds every loaded BLAS at `threads` threads until `restore`, MKL for calls from this thread; `excess` tells who does not obey."""

    def __init__(self, threads: int) -> None:
        from threadpoolctl import threadpool_limits

        take_control()
        self._threads = threads
        self._limits: Any = threadpool_limits(threads, user_api="blas")

    def excess(self) -> str | None:
        """The libraries that use more threads than they were given, with their numbers; None if there are none."""
        from threadpoolctl import threadpool_info

        return _excess(threadpool_info(), self._threads)

    def restore(self) -> None:
        """Give back the numbers from before; may be called twice."""
        if self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None
