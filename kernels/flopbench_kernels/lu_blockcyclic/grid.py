"""Who has what: ranks on a P x Q grid, blocks of NB rows and columns dealt out in turn (ScaLAPACK's two-dimensional block-cyclic map)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flopbench.errors import BadInput


def owned_below(limit: int, nb: int, me: int, parts: int) -> int:
    """How many of the indices 0 .. limit-1 belong to part `me` of `parts`: also the local index of the first one >= limit."""
    blocks, rest = divmod(limit, nb)
    turns, ahead = divmod(blocks, parts)
    if me < ahead:
        return (turns + 1) * nb
    return turns * nb + (rest if me == ahead else 0)


def to_global(local: np.ndarray | int, nb: int, me: int, parts: int) -> Any:
    """The global index of a local one."""
    return (local // nb * parts + me) * nb + local % nb


def to_local(index: np.ndarray | int, nb: int, parts: int) -> Any:
    """The local index, on its owner, of a global one."""
    return index // nb // parts * nb + index % nb


def owner(index: np.ndarray | int, nb: int, parts: int) -> Any:
    """The part that has a global index."""
    return index // nb % parts


@dataclass(frozen=True)
class Grid:
    """This rank's place. `row` connects the ranks of its process row (size q), `column` those of its process column (size p).

    They are mpi4py communicators, or None where there is nobody to talk to.
    """

    p: int
    q: int
    my_row: int
    my_column: int
    row: Any = None
    column: Any = None


def place(rank: int, p: int, q: int, pmap: str) -> tuple[int, int]:
    """Row and column of `rank` on the grid: row-major or column-major, as HPL_grid_init.c has it."""
    return (rank // q, rank % q) if pmap == "row" else (rank % p, rank // p)


def build(comm: Any, p: int, q: int, pmap: str) -> Grid | None:
    """The grid over the first p x q ranks; None on ranks that are left over. Collective. Raises BadInput if there are too few."""
    if comm.size < p * q:
        raise BadInput(f"a {p} x {q} grid needs {p * q} ranks, got {comm.size}; start more, or choose --grid auto")
    if comm.mpi is None:
        return Grid(1, 1, 0, 0)
    my_row, my_column = place(comm.rank, p, q, pmap)
    inside = comm.rank < p * q
    everyone = comm.mpi.Split(0 if inside else 1, comm.rank)
    if not inside:
        everyone.Free()
        return None
    row = everyone.Split(my_row, my_column)
    column = everyone.Split(my_column, my_row)
    everyone.Free()
    if q == 1:
        row.Free()
        row = None
    if p == 1:
        column.Free()
        column = None
    return Grid(p, q, my_row, my_column, row, column)
