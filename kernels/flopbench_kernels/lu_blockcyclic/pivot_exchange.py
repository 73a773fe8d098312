"""The agreement of a process column on a pivot: search, swap and broadcast of the pivot row in one binary exchange (HPL_pdmxswp.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flopbench_kernels.lu_blockcyclic.panel_steps import HEADER, combine

_TAG = 7


class PivotExchange:
    """Messages between the ranks of a process column, each of which holds a candidate; afterwards all hold the winner.

    Ranks pair up over distances 1, 2, 4, ...; where P is no power of two, the ranks beyond the largest one in it lean on a partner.
    """

    def __init__(self, comm: Any, width: int, allocate: Callable[[int], np.ndarray] = np.zeros) -> None:
        """For panels of up to `width` columns; `comm` None: this rank is alone. `allocate` gives the message its memory."""
        self.message = allocate(HEADER + 2 * width)
        self.other = np.zeros(HEADER + 2 * width)
        self.comm = comm
        if comm is not None:
            rank, size = comm.Get_rank(), comm.Get_size()
            core = 1 << (size.bit_length() - 1)
            self.leans_on = rank - core if rank >= core else None
            self.leaner = rank + core if rank + core < size else None
            self.partners = [rank ^ (1 << bit) for bit in range(core.bit_length() - 1)]

    def run(self, width: int) -> None:
        """Agree on `message`, which holds this rank's candidate. Collective over the process column. Blocks."""
        comm = self.comm
        message, other = self.message[: HEADER + 2 * width], self.other[: HEADER + 2 * width]
        if self.leans_on is not None:
            comm.Send(message, self.leans_on, _TAG)
            comm.Recv(message, self.leans_on, _TAG)
            return
        if self.leaner is not None:
            comm.Recv(other, self.leaner, _TAG)
            combine(width, message, other)
        for partner in self.partners:
            comm.Sendrecv(message, partner, _TAG, other, partner, _TAG)
            combine(width, message, other)
        if self.leaner is not None:
            comm.Send(message, self.leaner, _TAG)
