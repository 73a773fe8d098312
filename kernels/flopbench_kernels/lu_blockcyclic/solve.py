"""The backward substitution U x = y on the grid, y being what the factorisation made of b (HPL_pdtrsv.c does the same job).

From the last block up: the process row that has block k adds up what its ranks owe to it and hands the sum to the owner of the diagonal
block, which solves for x_k and tells its process column. That column then takes U_k x_k off the block that is due next before anything
else, so that the next owner can start; the rest follows while others work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from flopbench_kernels.device.contract import Device, Memory, Stream
from flopbench_kernels.device.cpu import host_block
from flopbench_kernels.device.rows import doubles_at
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix


@njit(nogil=True, cache=True)
def solve_upper(n, u, ldu, x):
    """x = U^-1 x with the upper triangle of the n x n block at address `u`; a zero pivot gives infinities, not an exception."""
    for j in range(n - 1, -1, -1):
        column = carray(doubles_at(u + 8 * j * ldu), n)
        pivot = column[j]
        x[j] = x[j] / pivot if pivot != 0.0 else np.inf
        for i in range(j):
            x[i] -= column[i] * x[j]


class BackwardSubstitution:
    """Buffers of the solve, allocated once."""

    def __init__(self, device: Device, matrix: LocalMatrix, grid: Grid) -> None:
        """Raises MemoryError."""
        self.device, self.matrix, self.grid = device, matrix, grid
        self.y: Memory = device.allocate(max(1, matrix.rows))
        self.x: Memory = device.allocate(max(1, matrix.nb))
        self.host = device.host_array(max(1, matrix.rows))
        self.block = device.host_array(matrix.nb * matrix.nb)
        self.solution = np.zeros(matrix.n)

    def run(self, stream: Stream) -> None:
        """`solution` gets x_k for every block k of this rank's process column; zeros elsewhere. Collective over the grid."""
        matrix, grid = self.matrix, self.grid
        self.solution[:] = 0.0
        self._start(stream)
        late: tuple[int, int, int] | None = None
        for k in range(matrix.panels - 1, -1, -1):
            row, column = k % grid.p, k % grid.q
            width = matrix.width(k)
            below = matrix.first_row(k * matrix.nb)
            piece = np.zeros(width)
            if grid.my_row == row:
                piece = self._collect(stream, below, width, column)
                if grid.my_column == column:
                    self._solve_diagonal(stream, k, below, width, piece)
            if grid.my_column == column:
                if grid.column is not None:
                    grid.column.Bcast(piece, row)
                self.solution[k * matrix.nb : k * matrix.nb + width] = piece
            if late is not None:
                self._subtract(stream, *late)
                late = None
            if grid.my_column == column and k > 0:
                self._send_x(stream, piece)
                due = matrix.first_row((k - 1) * matrix.nb)
                self._subtract(stream, k, due, below)
                late = (k, 0, due)

    def free(self) -> None:
        self.y.free()
        self.x.free()

    def _start(self, stream: Stream) -> None:
        """y = this rank's part of b in the process column that has b, zero elsewhere."""
        matrix = self.matrix
        self.host[:] = 0.0
        rows = matrix.rows
        if rows == 0:
            return
        b = matrix.address(0, matrix.first_column(matrix.n)) if matrix.has_b else 0
        if self.device.is_host:
            host_block(self.y.address, rows, 1, rows)[:, 0] = host_block(b, rows, 1, rows)[:, 0] if b else 0.0
            return
        if b:
            self.device.copy_out(stream, rows, 1, b, matrix.ld, self.host.ctypes.data, rows)
            stream.record().synchronize()
        self.device.copy_in(stream, rows, 1, self.host.ctypes.data, rows, self.y.address, rows)
        stream.record().synchronize()

    def _collect(self, stream: Stream, first: int, width: int, root: int) -> np.ndarray:
        """The right-hand side of one block, added up over the process row, on the rank in process column `root`."""
        if self.device.is_host:
            part = host_block(self.y.address + 8 * first, width, 1, width)[:, 0].copy()
        else:
            part = self.host[:width]
            self.device.copy_out(stream, width, 1, self.y.address + 8 * first, width, part.ctypes.data, width)
            stream.record().synchronize()
            part = part.copy()
        if self.grid.row is None:
            return part
        total = np.zeros(width)
        self.grid.row.Reduce(part, total, root=root)
        return total

    def _solve_diagonal(self, stream: Stream, k: int, row: int, width: int, piece: np.ndarray) -> None:
        matrix = self.matrix
        u = matrix.address(row, matrix.first_column(k * matrix.nb))
        if self.device.is_host:
            solve_upper(width, u, matrix.ld, piece)
            return
        self.device.copy_out(stream, width, width, u, matrix.ld, self.block.ctypes.data, width)
        stream.record().synchronize()
        solve_upper(width, self.block.ctypes.data, width, piece)

    def _send_x(self, stream: Stream, piece: np.ndarray) -> None:
        """Bring x_k to where the device can read it."""
        width = piece.size
        if self.device.is_host:
            host_block(self.x.address, width, 1, width)[:, 0] = piece
            return
        self.block[:width] = piece
        self.device.copy_in(stream, width, 1, self.block.ctypes.data, width, self.x.address, width)
        stream.record().synchronize()

    def _subtract(self, stream: Stream, k: int, first: int, stop: int) -> None:
        """y[first:stop] -= U[first:stop, block k] x_k."""
        matrix = self.matrix
        if stop > first:
            u = matrix.address(first, matrix.first_column(k * matrix.nb))
            self.device.gemv(
                stream, stop - first, matrix.width(k), u, matrix.ld, self.x.address, self.y.address + 8 * first
            )


def gather_solution(grid: Grid, solution: np.ndarray) -> np.ndarray:
    """All of x on every rank of the grid. Collective over the process row."""
    row: Any = grid.row
    if row is None:
        return solution.copy()
    total = np.empty_like(solution)
    row.Allreduce(solution, total)
    return total
