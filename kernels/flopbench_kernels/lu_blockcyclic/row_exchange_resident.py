"""The row exchange between device memories: spread and roll, whatever SWAP says, with a wire that takes device addresses."""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench_kernels.device.contract import Stream
from flopbench_kernels.device.resident import DeviceBuffer
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix
from flopbench_kernels.lu_blockcyclic.pivots import RowMoves
from flopbench_kernels.lu_blockcyclic.row_exchange import RowExchange
from flopbench_kernels.lu_blockcyclic.wire import Wire


class ResidentRowExchange(RowExchange):
    """Buffers are DeviceBuffers, also `u` of `run`."""

    resident = True

    def __init__(self, device: Any, matrix: LocalMatrix, grid: Grid, wire: Wire, width: int, columns: int) -> None:
        """For panels up to `width` and updates up to `columns` wide. Raises MemoryError."""
        self.device, self.matrix, self.grid, self.wire = device, matrix, grid, wire
        self.memories = [device.allocate(2 * width * columns) for _ in range(2)]
        self.send, self.receive = map(DeviceBuffer.of, self.memories)
        self.solves_slices = True

    def run(self, stream: Stream, moves: RowMoves, l1: int, ldl: int, column: int, n: int, u: Any) -> bool:
        return self._spread_and_roll(stream, moves, l1, ldl, column, n, u)

    def free(self) -> None:
        for memory in self.memories:
            memory.free()

    def _spread(self, stream: Stream, out_at: list[int], into_at: list[int]) -> None:
        self.wire.spread(stream, self.send, out_at, self.receive, into_at)

    def _roll(self, stream: Stream, u: Any, edges: list[int]) -> None:
        self.wire.roll(stream, u, edges)

    def _pull(self, stream: Stream, index: np.ndarray, column: int, n: int, out: Any) -> None:
        self.device.gather_rows(
            stream, n, self.matrix.address(0, column), self.matrix.ld, index, self._address(out), len(index)
        )

    def _push(self, stream: Stream, index: np.ndarray, column: int, n: int, block: Any, at: int, ld_block: int) -> None:
        source = self._address(block) + 8 * at
        self.device.scatter_rows(
            stream, n, self.matrix.address(0, column), self.matrix.ld, index, source, ld_block
        )  # fmt: skip

    def _unpack(self, stream: Stream, n: int, u: int, ldu: int, index: np.ndarray, block: int) -> None:
        self.device.scatter_rows(stream, n, u, ldu, index, block, len(index))

    @staticmethod
    def _address(buffer: Any) -> int:
        return int(buffer.address)
