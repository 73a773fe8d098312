"""The local part of [A | b]: its memory on the device, and the addresses of its blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from flopbench.kernel_api import MatrixSource
from flopbench_kernels.device.contract import Device, Memory, Stream
from flopbench_kernels.lu_blockcyclic.grid import Grid, owned_below, to_global


def leading_dimension(rows: int, align: int) -> int:
    """At least `rows`, a multiple of `align` doubles, and never of 2 KiB: columns a power of two apart fight for cache sets."""
    ld = max(1, -(-rows // align)) * align
    while ld % 256 == 0:
        ld += align
    return ld


@dataclass
class LocalMatrix:
    """This rank's rows and columns of the n x (n+1) matrix [A | b], dealt out in blocks of nb."""

    n: int
    nb: int
    grid: Grid
    align: int
    rows: int = field(init=False)
    columns: int = field(init=False)
    ld: int = field(init=False)
    memory: Memory | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.rows = owned_below(self.n, self.nb, self.grid.my_row, self.grid.p)
        self.columns = owned_below(self.n + 1, self.nb, self.grid.my_column, self.grid.q)
        self.ld = leading_dimension(self.rows, self.align)

    @property
    def panels(self) -> int:
        return -(-self.n // self.nb)

    def width(self, panel: int) -> int:
        """Columns of a panel: nb, or what is left."""
        return min(self.nb, self.n - panel * self.nb)

    def first_row(self, index: int) -> int:
        """The first local row at or behind global row `index`."""
        return owned_below(min(index, self.n), self.nb, self.grid.my_row, self.grid.p)

    def first_column(self, index: int) -> int:
        """The first local column at or behind global column `index`."""
        return owned_below(min(index, self.n + 1), self.nb, self.grid.my_column, self.grid.q)

    def has_row_block(self, block: int) -> bool:
        return block % self.grid.p == self.grid.my_row

    def has_column_block(self, block: int) -> bool:
        return block % self.grid.q == self.grid.my_column

    @property
    def has_b(self) -> bool:
        return self.has_column_block(self.n // self.nb)

    def allocate(self, device: Device) -> None:
        """Raises MemoryError."""
        self.memory = device.allocate(self.ld * max(1, self.columns))

    def address(self, row: int, column: int) -> int:
        """Of the element at a local row and column."""
        assert self.memory is not None
        return self.memory.address + 8 * (row + column * self.ld)

    def fill(self, device: Device, stream: Stream, source: MatrixSource) -> None:
        """Write the problem, block by block; every block is a piece of work for any thread."""
        for column in range(0, self.columns, self.nb):
            device.submit(stream, lambda column=column: self._fill_columns(device, stream, source, column))

    def _fill_columns(self, device: Device, stream: Stream, source: MatrixSource, column: int) -> None:
        width = min(self.nb, self.columns - column)
        col0 = to_global(column, self.nb, self.grid.my_column, self.grid.q)
        if self.grid.p == 1:
            device.fill(stream, source, self.rows, width, 0, col0, self.address(0, column), self.ld)
            return
        for row in range(0, self.rows, self.nb):
            height = min(self.nb, self.rows - row)
            row0 = to_global(row, self.nb, self.grid.my_row, self.grid.p)
            device.fill(stream, source, height, width, row0, col0, self.address(row, column), self.ld)

    def free(self) -> None:
        if self.memory is not None:
            self.memory.free()
            self.memory = None
