"""From the pivots of a panel to the rows that have to move, all at once instead of one swap after another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from flopbench_kernels.lu_blockcyclic.grid import Grid, owner, to_local


@njit(nogil=True, cache=True)
def net_moves(row0, pivots):
    """The swaps row0 + j <-> pivots[j], j = 0, 1, ..., taken together.

    Returns (top, to, origin), int64: row0 + i gets what row top[i] held; row to[m], below the top block, gets what row origin[m] of
    the top block held.
    """
    width = pivots.size
    top = np.arange(row0, row0 + width)
    below = np.empty(width, np.int64)
    held = np.empty(width, np.int64)
    count = 0
    for j in range(width):
        row = np.int64(pivots[j])
        if row < row0 + width:
            top[j], top[row - row0] = top[row - row0], top[j]
            continue
        at = 0
        while at < count and below[at] != row:
            at += 1
        if at == count:
            below[at] = row
            held[at] = row
            count += 1
        top[j], held[at] = held[at], top[j]
    return top, below[:count].copy(), held[:count].copy()


@dataclass
class RowMoves:
    """What one panel's pivots mean for a process column; the same on all of its ranks but for `my_*`.

    pieces[r] are the rows of U that process row r has; those that leave the top block are grouped by the process row that they go to:
    leaving[r] of them to process row r.
    """

    width: int
    top_owner: int
    pieces: list[np.ndarray]
    leaving: list[int]
    my_rows: np.ndarray  # local rows that become my part of U, in the order of pieces[me]
    my_leaving: np.ndarray  # on the top block's owner: local rows that leave, grouped by destination; empty elsewhere
    my_arriving: np.ndarray  # local rows that get something from the top block
    my_top: np.ndarray  # local rows of the top block, on its owner; empty elsewhere

    @cached_property
    def permutation(self) -> tuple[np.ndarray, np.ndarray]:
        """(to, origin) of all rows that really move, where one rank has them all."""
        to = np.concatenate([self.my_top, self.my_arriving])
        origin = np.concatenate([self.my_rows, self.my_leaving])
        moving = to != origin
        return to[moving], origin[moving]


def row_moves(row0: int, pivots: np.ndarray, nb: int, grid: Grid) -> RowMoves:
    """Who sends which rows where, for the panel whose top block starts at global row `row0`."""
    top, to, origin = net_moves(row0, pivots)
    me, parts = grid.my_row, grid.p
    top_owner = owner(row0, nb, parts)
    source = owner(top, nb, parts)
    target = owner(to, nb, parts)
    order = np.argsort(target, kind="stable")
    nothing = np.empty(0, dtype=np.int64)
    on_top = me == top_owner
    return RowMoves(
        width=pivots.size,
        top_owner=top_owner,
        pieces=[np.flatnonzero(source == r) for r in range(parts)],
        leaving=[int(count) for count in np.bincount(target, minlength=parts)],
        my_rows=to_local(top[source == me], nb, parts),
        my_leaving=to_local(origin[order], nb, parts) if on_top else nothing,
        my_arriving=to_local(to[order][target[order] == me], nb, parts),
        my_top=to_local(np.arange(row0, row0 + pivots.size), nb, parts) if on_top else nothing,
    )
