"""One panel: a block column of the matrix, copied to a host buffer, factored there, and sent along the process row in one message.

The buffer holds the top block (width x width: L1 and U) over this rank's rows below it, column-major, then the pivots. L stays here:
later steps need only U, whose diagonal block goes back to the matrix.
"""

from __future__ import annotations

import numpy as np

from flopbench_kernels.device.blas import Blas
from flopbench_kernels.device.contract import Device, Event, Memory, Stream
from flopbench_kernels.lu_blockcyclic import panel_steps
from flopbench_kernels.lu_blockcyclic.broadcast import WAYS, Broadcast
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix, leading_dimension
from flopbench_kernels.lu_blockcyclic.pivot_exchange import PivotExchange
from flopbench_kernels.lu_blockcyclic.pivots import RowMoves, row_moves

_PFACT = {"left": panel_steps.LEFT, "crout": panel_steps.CROUT, "right": panel_steps.RIGHT}
_ALIGN = 8  # doubles in a cache line


def buffer_count(matrix: LocalMatrix) -> int:
    """float64 that the largest panel needs on this rank."""
    return leading_dimension(matrix.nb + matrix.rows, _ALIGN) * matrix.nb + matrix.nb


class PanelFactoriser:
    """What all panels of a run share: the steps of the recursion, the exchange of pivots, BLAS for the host."""

    def __init__(self, blas: Blas, matrix: LocalMatrix, grid: Grid, plans: dict[int, np.ndarray], pfact: str) -> None:
        """`plans`: the steps for every width that occurs (panel_plan.plan)."""
        self.blas, self.matrix, self.grid, self.plans = blas, matrix, grid, plans
        self.pfact = _PFACT[pfact]
        self.exchange = PivotExchange(grid.column, matrix.nb)
        self.state = np.zeros(panel_steps.STATE_FIELDS, dtype=np.int64)
        self.mine = np.zeros(1)
        self.singular = False

    def free(self) -> None:
        """Nothing but host memory, which goes with its last reader."""

    def run(self, panel: Panel) -> None:
        """Factor a panel whose buffer holds the values of the matrix. Collective over the process column."""
        state, exchange, blas = self.state, self.exchange, self.blas
        state[:] = (0, -1, 0, 0)
        steps = self.plans[panel.width]
        common = (state, steps, panel.buffer, panel.ld, panel.height, panel.width)
        tail = (self.pfact, exchange.message, self.mine, panel.pivots, blas.gemm, blas.trsm)
        if self.grid.column is None:
            panel_steps.factor_alone(*common, panel.row0, self.matrix.nb, *tail)
        else:
            place = (panel.row0, self.matrix.nb, self.grid.my_row, self.grid.p, panel.below)
            while panel_steps.advance(*common, panel.has_top, *place, *tail) >= 0:
                exchange.run(panel.width)
        self.singular |= bool(state[panel_steps.SINGULAR])


class Panel:
    """The buffer of a panel, used for one panel after another."""

    on_device = False  # whether it is factored in device memory

    def __init__(self, device: Device, matrix: LocalMatrix, grid: Grid) -> None:
        """Raises MemoryError."""
        self.device, self.matrix, self.grid = device, matrix, grid
        self.storage = device.host_array(buffer_count(matrix))
        self.mirror: Memory | None = None if device.is_host else device.allocate(buffer_count(matrix))
        self.broadcast: Broadcast | None = None
        self.ready: Event | None = None
        self.index = -1

    def assign(self, index: int) -> None:
        """From now on this buffer is panel `index`; whoever still needs its old content is waited for."""
        self.release()
        if self.ready is not None:
            self.ready.synchronize()
            self.ready = None
        matrix = self.matrix
        self.index = index
        self.moves: RowMoves | None = None
        self.width = matrix.width(index)
        self.row0 = index * matrix.nb
        self.has_top = matrix.has_row_block(index)
        self.top = matrix.first_row(self.row0)
        self.below = matrix.first_row(self.row0 + self.width)
        self.height = self.width + matrix.rows - self.below
        self.ld = leading_dimension(self.height, _ALIGN)
        self.buffer = self.storage[: self.ld * self.width]
        self.pivots = self.storage[self.ld * self.width : (self.ld + 1) * self.width]

    @property
    def rows_below(self) -> int:
        return self.height - self.width

    @property
    def l1(self) -> int:
        """Device address of the top block."""
        return self.buffer.ctypes.data if self.mirror is None else self.mirror.address

    @property
    def l2(self) -> int:
        """Device address of the rows below."""
        return self.l1 + 8 * self.width

    def load(self, stream: Stream, column: int) -> None:
        """Copy the panel's values from the matrix, local columns from `column` on; done when the stream has come so far."""
        skip = 0 if self.has_top else self.width
        first = self.top if self.has_top else self.below
        rows = self.height - skip
        source = self.matrix.address(first, column)
        if not self.device.is_host:
            self.device.copy_out(
                stream, rows, self.width, source, self.matrix.ld, self.buffer.ctypes.data + 8 * skip, self.ld
            )
            return
        panel_steps.copy_block(rows, self.width, source, self.matrix.ld, self.buffer.ctypes.data + 8 * skip, self.ld)

    def store_top(self, stream: Stream, column: int) -> None:
        """Put the factored diagonal block back, where the backward substitution looks for U. Only on the rank that has it."""
        target = self.matrix.address(self.top, column)
        if not self.device.is_host:
            self.device.copy_in(
                stream, self.width, self.width, self.buffer.ctypes.data, self.ld, target, self.matrix.ld
            )
            return
        panel_steps.copy_block(self.width, self.width, self.buffer.ctypes.data, self.ld, target, self.matrix.ld)

    def send(self, way: str, root: int) -> None:
        """Start the broadcast along the process row; on the root the panel is factored, elsewhere it comes in."""
        if self.grid.row is not None:
            message = self.storage[: (self.ld + 1) * self.width]
            self.broadcast = WAYS[way](self.grid.row, root, message, self.index % 32768)

    def poll(self) -> None:
        """Let the broadcast move on."""
        if self.broadcast is not None:
            self.broadcast.poll()

    def arrive(self, stream: Stream) -> RowMoves:
        """Wait until the panel is here, bring it to the device, and work out what its pivots move."""
        if self.broadcast is not None:
            self.broadcast.finish()
        if self.mirror is not None and self.ready is None:
            self.device.copy_in(
                stream, self.height, self.width, self.buffer.ctypes.data, self.ld, self.mirror.address, self.ld
            )
            self.ready = stream.record()
        if self.moves is None:
            self.moves = row_moves(self.row0, self.pivots, self.matrix.nb, self.grid)
        return self.moves

    def release(self) -> None:
        """Wait until the network no longer needs the buffer."""
        if self.broadcast is not None:
            self.broadcast.close()
            self.broadcast = None

    def free(self) -> None:
        """Give the device's memory back; the host's goes with its last reader."""
        self.broadcast = None
        if self.mirror is not None:
            self.mirror.free()
