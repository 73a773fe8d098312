"""Panels that live where the matrix lies, on the GPU: factored there, or sent from there, or both.

Factored on the device, a panel never leaves it unless its messages go through the host; only its pivots come to the host, which works out
from them what moves where. The process column agrees on each pivot by the same small message as on the host, through pinned memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flopbench.errors import RunFailed
from flopbench_kernels.device.contract import Device, Stream
from flopbench_kernels.device.resident import DeviceBuffer
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix
from flopbench_kernels.lu_blockcyclic.panel import Panel
from flopbench_kernels.lu_blockcyclic.panel_plan import FACTOR, GEMM, TRSM
from flopbench_kernels.lu_blockcyclic.panel_steps import HEADER
from flopbench_kernels.lu_blockcyclic.pivot_exchange import PivotExchange
from flopbench_kernels.lu_blockcyclic.pivots import RowMoves
from flopbench_kernels.lu_blockcyclic.wire import Wire


@dataclass(frozen=True)
class Residence:
    """What happens on the device beside the update: the panel's factorisation, and the messages if `wire` is not None."""

    panel_on_device: bool = False
    wire: Wire | None = None


class ResidentFactoriser:
    """Does what PanelFactoriser does, on the device. Inside a part of NBMIN columns the order is right-looking, whatever PFACT says."""

    def __init__(
        self, device: Any, matrix: LocalMatrix, grid: Grid, plans: dict[int, np.ndarray], stream: Stream
    ) -> None:
        """Raises MemoryError."""
        self.device, self.matrix, self.grid, self.plans, self.stream = device, matrix, grid, plans, stream
        self.kernels = device.panel_kernels(matrix.nb, stream)
        self.exchange = PivotExchange(grid.column, matrix.nb, device.host_array)
        self.flag = device.host_array(1)
        self.singular = False

    def run(self, panel: Panel) -> None:
        """Factor a panel whose device buffer holds the values of the matrix; its pivots are on the host afterwards. Collective over
        the process column."""
        pivots = self._at(panel, 0, panel.width)
        self.kernels.begin(
            panel.l1, panel.ld, panel.width, panel.height, panel.has_top, panel.row0, self.matrix.nb, self.grid.my_row, self.grid.p,
            panel.below, pivots,
        )  # fmt: skip
        for step in self.plans[panel.width]:
            kind, *numbers = map(int, step)
            if kind == FACTOR:
                self._columns(panel, *numbers[:2])
            elif kind == TRSM:
                self._solve(panel, *numbers[:4])
            else:
                self._subtract(panel, kind == GEMM, *numbers)
        width = panel.width
        self.device.copy_out(self.stream, width, 1, pivots, width, panel.pivots.ctypes.data, width)
        self.device.copy_out(self.stream, 1, 1, self.kernels.mine + 16, 1, self.flag.ctypes.data, 1)
        self.stream.record().synchronize()
        self.singular |= bool(self.flag[0])

    def free(self) -> None:
        self.kernels.free()

    def _columns(self, panel: Panel, start: int, stop: int) -> None:
        """Columns start .. stop-1."""
        kernels, alone = self.kernels, self.grid.column is None
        if alone and stop - start <= kernels.most_alone:
            kernels.alone(start, stop)
            return
        kernels.search(start)
        for j in range(start, stop):
            kernels.pack(j)
            if not alone:
                self._agree(panel.width)
            kernels.take(j)
            kernels.eliminate(j, stop)

    def _agree(self, width: int) -> None:
        """The winner's message to all ranks of the process column, through pinned memory."""
        count, host = HEADER + 2 * width, self.exchange.message.ctypes.data
        self.device.copy_out(self.stream, count, 1, self.kernels.message, count, host, count)
        self.stream.record().synchronize()
        self.exchange.run(width)
        self.device.copy_in(self.stream, count, 1, host, count, self.kernels.message, count)

    def _solve(self, panel: Panel, a: int, b: int, c: int, d: int) -> None:
        self.device.trsm(
            self.stream, b - a, d - c, self._at(panel, a, a), panel.ld, self._at(panel, a, c), panel.ld
        )  # fmt: skip

    def _subtract(self, panel: Panel, below: bool, a: int, b: int, c: int, d: int, e: int, f: int) -> None:
        first, last = a, b
        if below:
            first, last = a if panel.has_top else panel.width, panel.height
        self.device.gemm(
            self.stream, last - first, d - c, f - e, self._at(panel, first, e), panel.ld, self._at(panel, e, c), panel.ld,
            self._at(panel, first, c), panel.ld,
        )  # fmt: skip

    @staticmethod
    def _at(panel: Panel, row: int, column: int) -> int:
        """Device address of an element; row 0 of column `width` is where the pivots are."""
        return panel.l1 + 8 * (row + column * panel.ld)


class ResidentPanel(Panel):
    """A panel whose device buffer is more than a mirror of the host's."""

    def __init__(self, device: Device, matrix: LocalMatrix, grid: Grid, stream: Stream, residence: Residence) -> None:
        """`stream`: the one on which panels are loaded and factored. Raises MemoryError."""
        super().__init__(device, matrix, grid)
        self.stream, self.residence = stream, residence
        self.has_pivots = False
        assert self.mirror is not None
        self.resident: Any = device
        self.whole = DeviceBuffer.of(self.mirror)

    @property
    def on_device(self) -> bool:
        return self.residence.panel_on_device

    def assign(self, index: int) -> None:
        super().assign(index)
        self.has_pivots = False

    def load(self, stream: Stream, column: int) -> None:
        """Copy the panel's values from the matrix, to where it is factored."""
        if not self.on_device:
            super().load(stream, column)
            return
        skip = 0 if self.has_top else self.width
        first = self.top if self.has_top else self.below
        source = self.matrix.address(first, column)
        rows = self.height - skip
        self.resident.copy_within(stream, rows, self.width, source, self.matrix.ld, self.l1 + 8 * skip, self.ld)

    def store_top(self, stream: Stream, column: int) -> None:
        if not self.on_device:
            super().store_top(stream, column)
            return
        target = self.matrix.address(self.top, column)
        self.resident.copy_within(stream, self.width, self.width, self.l1, self.ld, target, self.matrix.ld)

    def send(self, way: str, root: int) -> None:
        """Start the broadcast, from device memory where there is a wire, else from the host."""
        count = (self.ld + 1) * self.width
        mine = self.grid.my_column == root
        if mine:
            self.has_pivots = True
            if not self.on_device and self.residence.wire is not None:
                self._copy_whole(count, inwards=True)
                self.ready = self.stream.record()
            elif self.on_device:
                if self.residence.wire is None and self.grid.row is not None:
                    self._copy_whole(count, inwards=False)
                    self.stream.record().synchronize()
                self.ready = self.stream.record()
        if self.residence.wire is None:
            self.has_pivots = True  # they come with the message
            super().send(way, root)
        elif self.grid.row is not None:
            self.broadcast = self.residence.wire.broadcast(
                self.stream, way, root, self.whole[:count], self.index % 32768
            )

    def arrive(self, stream: Stream) -> RowMoves:
        if self.residence.wire is not None and not self.has_pivots:
            assert self.broadcast is not None
            self.broadcast.finish()
            self.device.copy_out(
                stream, self.width, 1, self.l1 + 8 * self.ld * self.width, self.width, self.pivots.ctypes.data, self.width
            )  # fmt: skip
            self.ready = stream.record()
            self.ready.synchronize()
            self.has_pivots = True
        if self.moves is None:
            if self.broadcast is not None:
                self.broadcast.finish()
            self._require_rows()
        return super().arrive(stream)

    def _require_rows(self) -> None:
        """Raises RunFailed unless every pivot is a row of what is left: rows are moved by these numbers without another look."""
        if not np.all((self.pivots >= self.row0) & (self.pivots < self.matrix.n)):
            raise RunFailed(
                f"panel {self.index}: the pivots that came from the GPU are not all rows {self.row0} .. {self.matrix.n - 1}; "
                "a message or a copy went wrong: try --option panel=host and exchange=staged"
            )

    def _copy_whole(self, count: int, inwards: bool) -> None:
        copy = self.device.copy_in if inwards else self.device.copy_out
        ends = [self.storage.ctypes.data, self.l1]
        source, target = ends if inwards else reversed(ends)
        copy(self.stream, count, 1, source, count, target, count)
