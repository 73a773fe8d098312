"""The threads of a product. Between two products they sleep in the kernel, without Python: waking them takes no interpreter lock."""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any

import numpy as np

from flopbench.errors import NotPossible
from flopbench_kernels.gemm_numba import driver


class Team:
    """The calling thread and `threads` - 1 others. The others end with `close`, or when nobody holds the team any more.

    Raises NotPossible on a system without unnamed semaphores, if there are to be others.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._board = np.zeros(driver.SEMAPHORES + threads * driver.LINE, dtype=np.int64)
        self._others: list[threading.Thread] = []
        self._stop = weakref.finalize(self, _dissolve, self._board, self._others, self._libc)

    def start(self, plan: driver.Plan, shared: int, keep: list[Any]) -> None:
        """Have the others ready for products by `plan`, whose counters are at `shared`; `keep` owns all memory that they will use."""
        board = self._board.ctypes.data
        for thread in range(1, self._threads):
            if self._libc.sem_init(ctypes.c_void_p(_semaphore(self._board, thread)), 0, 0):
                raise NotPossible("a team of threads is not possible here: the system has no unnamed semaphores")
            calls = address_in_libc("sched_yield"), address_in_libc("sem_wait")
            task = (plan, shared, board, thread, self._threads, *calls)
            other = threading.Thread(target=_run, args=(task, [keep, self._board]), name=f"gemm_{thread}", daemon=True)
            try:
                other.start()
            except RuntimeError:
                self.close()
                raise
            self._others.append(other)

    def work(self, plan: driver.Plan, shared: int) -> None:
        """One product by all; returns when every thread has finished."""
        board, yield_cpu, post = self._board.ctypes.data, address_in_libc("sched_yield"), address_in_libc("sem_post")
        driver.take_part(plan, shared, board, 0, self._threads, yield_cpu, post)

    def close(self) -> None:
        """End the other threads."""
        self._stop()


def address_in_libc(name: str) -> int:
    """Of one of its functions, for compiled code to call."""
    address = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    assert address is not None
    return address


def _run(task: tuple[Any, ...], keep: list[Any]) -> None:
    driver.take_part(*task)


def _semaphore(board: np.ndarray, thread: int) -> int:
    """Address of the semaphore of `thread`."""
    return board.ctypes.data + 8 * (driver.SEMAPHORES + thread * driver.LINE)


def _dissolve(board: np.ndarray, others: list[threading.Thread], libc: ctypes.CDLL) -> None:
    board[driver.STOP] = 1
    for thread, _ in enumerate(others, 1):
        libc.sem_post(ctypes.c_void_p(_semaphore(board, thread)))
    for other in others:
        other.join()
