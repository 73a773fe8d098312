"""The main loop: right-looking LU of [A | b] with look-ahead, so that panels and the network hide behind the update."""

from __future__ import annotations

from collections import deque

import numpy as np

from flopbench.kernel_api import LuTuning, Observer
from flopbench_kernels.device.blas import Blas
from flopbench_kernels.device.contract import Device
from flopbench_kernels.lu_blockcyclic import panel_plan
from flopbench_kernels.lu_blockcyclic.grid import Grid
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix
from flopbench_kernels.lu_blockcyclic.panel import Panel, PanelFactoriser
from flopbench_kernels.lu_blockcyclic.panel_resident import Residence, ResidentFactoriser, ResidentPanel
from flopbench_kernels.lu_blockcyclic.row_exchange import RowExchange
from flopbench_kernels.lu_blockcyclic.row_exchange_resident import ResidentRowExchange
from flopbench_kernels.lu_blockcyclic.update import Prepared, UBuffer, Updater, pieces


class Factorisation:
    """Buffers and streams of a run, allocated once; `run` may be called again on a refilled matrix.

    With look-ahead depth d, the columns of panel k + d are brought up to date first in step k and factored while the update of the
    other columns goes on; d panels are then on their way or waiting. Depth 0 factors, sends and updates one after the other.
    """

    def __init__(
        self,
        device: Device,
        threads: int,
        blas: Blas,
        matrix: LocalMatrix,
        grid: Grid,
        tuning: LuTuning,
        observer: Observer | None,
        residence: Residence | None = None,
    ) -> None:
        """`residence`: what happens on the device beside the update, if anything does. Raises MemoryError."""
        self.device, self.threads, self.matrix, self.grid, self.tuning = device, threads, matrix, grid, tuning
        self.observer = observer
        widths = {matrix.width(panel) for panel in range(matrix.panels)}
        plans = {width: panel_plan.plan(width, tuning.rfact, tuning.ndiv, tuning.nbmin) for width in widths}
        self.main = device.stream()
        self.urgent = device.stream(urgent=True)
        self.factoriser: PanelFactoriser | ResidentFactoriser
        if residence is not None and residence.panel_on_device:
            self.factoriser = ResidentFactoriser(device, matrix, grid, plans, self.urgent)
        else:
            self.factoriser = PanelFactoriser(blas, matrix, grid, plans, tuning.pfact)
        # one more than are alive at once, so that the last one's messages need not be waited for
        count = min(tuning.depth + (2 if grid.q > 1 else 1), matrix.panels)
        self.buffers = [
            Panel(device, matrix, grid)
            if residence is None
            else ResidentPanel(device, matrix, grid, self.urgent, residence)
            for _ in range(count)
        ]
        exchange: RowExchange | None = None
        self.u_all: UBuffer | None = None
        self.u_next: UBuffer | None = None
        if grid.p > 1:
            columns = max(1, matrix.columns)
            if residence is not None and residence.wire is not None:
                exchange = ResidentRowExchange(device, matrix, grid, residence.wire, matrix.nb, columns)
            else:
                exchange = RowExchange(device, matrix, grid, tuning.swap, tuning.swap_threshold, matrix.nb, columns)
            self.u_all = UBuffer(device, matrix.nb * columns)
            if tuning.depth > 1:
                self.u_next = UBuffer(device, matrix.nb * matrix.nb)
        self.exchange = exchange
        self.updater = Updater(device, matrix, exchange)
        self.pivots = np.empty(matrix.n, dtype=np.int64)

    @property
    def singular(self) -> bool:
        """Whether a pivot was exactly zero, as far as this rank knows."""
        return self.factoriser.singular

    def run(self) -> None:
        """Factor the matrix in place. Collective over the grid."""
        matrix, depth = self.matrix, self.tuning.depth
        self.factoriser.singular = False
        ahead: deque[Panel] = deque()
        for index in range(min(depth, matrix.panels)):
            ahead.append(self._look_ahead(index, list(ahead)))
        for index in range(matrix.panels):
            if depth == 0:
                ahead.append(self._look_ahead(index, []))
            panel = ahead.popleft()
            self._step(panel, ahead)
            self.pivots[panel.row0 : panel.row0 + panel.width] = panel.pivots
            if self.observer is not None:
                left = matrix.n - panel.row0 - panel.width
                self.observer.progress(1.0 - (left / matrix.n) ** 3)
        self._enter("broadcast")
        for panel in self.buffers:
            panel.release()

    def free(self) -> None:
        """Give all memory back. After an interrupted run, what the network still holds stays with its requests."""
        for part in (*self.buffers, self.factoriser, self.exchange, self.u_all, self.u_next):
            if part is not None:
                part.free()

    def _look_ahead(self, index: int, older: list[Panel]) -> Panel:
        """Bring panel `index` up to date with the `older` ones, which nothing else has seen yet; factor it and send it."""
        self.urgent.wait(self.main.record())
        panel = self.buffers[index % len(self.buffers)]
        column = self.matrix.first_column(index * self.matrix.nb)
        mine = self.matrix.has_column_block(index)
        if mine:
            self._catch_up(older, column, self.matrix.width(index))
        self._enter("wait")
        panel.assign(index)
        if mine:
            panel.load(self.urgent, column)
            self._factor(panel, column)
        self._enter("broadcast")
        panel.send(self.tuning.bcast, index % self.grid.q)
        return panel

    def _step(self, panel: Panel, ahead: deque[Panel]) -> None:
        """Apply `panel` to all columns that have not seen it, and meanwhile factor the panel behind those in `ahead`."""
        matrix, depth = self.matrix, self.tuning.depth
        following = panel.index + depth
        looks_ahead = depth > 0 and following < matrix.panels
        self._enter("wait")
        self.urgent.wait(self.main.record())
        start = following * matrix.nb if looks_ahead else panel.row0 + panel.width
        if depth > 0 and not looks_ahead:
            start = matrix.n
        column = matrix.first_column(start)
        panel.arrive(self.urgent)
        self._enter("swap")
        prepared = self.updater.prepare_all(self.urgent, panel, column, matrix.columns - column, self.u_all)
        mine = looks_ahead and matrix.has_column_block(following)
        target = self.buffers[following % len(self.buffers)]
        width = matrix.width(following) if mine else 0
        polled = bool(ahead) or looks_ahead
        if (
            self.device.is_host
        ):  # other threads begin with the rest at once; on a device with streams, the urgent one goes first
            self._submit(prepared, column + width, polled)
        if mine:
            self._enter("update")
            self.updater.apply(self.urgent, prepared, column, width)
            self._catch_up(list(ahead), column, width)
            self._enter("wait")
            target.assign(following)
            target.load(self.urgent, column)
        if not self.device.is_host:
            self._submit(prepared, column + width, polled)
        if mine:
            self._factor(target, column)
        if looks_ahead:
            self._enter("broadcast")
            if not mine:
                target.assign(following)
            target.send(self.tuning.bcast, following % self.grid.q)
            ahead.append(target)
        self._enter("update")
        while self.device.help():
            for panel_ahead in ahead:
                panel_ahead.poll()

    def _catch_up(self, panels: list[Panel], column: int, width: int) -> None:
        """Apply panels to the columns of the next one only."""
        for panel in panels:
            self._enter("wait")
            panel.arrive(self.urgent)
            self._enter("swap")
            prepared = self.updater.prepare(self.urgent, panel, column, width, self.u_next)
            self._enter("update")
            self.updater.apply(self.urgent, prepared, column, width)

    def _submit(self, prepared: Prepared, column: int, polled: bool) -> None:
        """Hand the columns from `column` on to whoever has time."""
        self.main.wait(self.urgent.record())
        q = self.grid.q if polled else 1
        widest = self.updater.left.widest if self.updater.left is not None else None
        for start, width in pieces(self.matrix.columns - column, self.threads, q, self.matrix.nb, widest):
            self.device.submit(
                self.main,
                lambda start=start, width=width: self.updater.apply(self.main, prepared, column + start, width),
            )

    def _factor(self, panel: Panel, column: int) -> None:
        """Factor a panel that has been loaded, and put its diagonal block back."""
        self._enter("panel")
        if not panel.on_device:
            self.urgent.record().synchronize()
        self.factoriser.run(panel)
        if panel.has_top:
            panel.store_top(self.urgent, column)

    def _enter(self, phase: str) -> None:
        if self.observer is not None:
            self.observer.enter(phase)
