"""The columns of a panel on a GPU, with the buffers between our kernels: sources/panel_alone.cu and sources/panel.cu.

Where one rank has the whole process column, all columns of a part of the panel are one launch. Else each column is three, and an agreement
between them. The arguments that do not change within a panel are made once, by `begin`: what the host does for a launch counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench_kernels.cuda.context import Gpu, grid_over
from flopbench_kernels.device.contract import Memory

THREADS = 256  # of a block: a multiple of 32, as best_of_block of panel.cu wants it
BLOCKS = 512  # that search and eliminate at most, each with its candidate
ALONE_THREADS = (
    512  # of a block of panel_alone: at least its MOST_COLUMNS, and few enough that every GPU holds such a block
)
MOST_COLUMNS = 64  # of panel_alone, as its source says
_MOST_BLOCKS = 256  # of panel_alone: one for each multiprocessor, of which no GPU has more
_SLOT = 2 + MOST_COLUMNS
_HEADER = 4  # of a message, in float64

_address, _long = np.uint64, np.int64


def panel_bytes(width: int) -> int:
    """GPU memory of the buffers, for panels of `width` columns."""
    return 8 * (2 * BLOCKS + _HEADER + 2 * width + 3 + 2 * (_MOST_BLOCKS + 1) * _SLOT + 1)


class CudaPanelKernels:
    """PanelKernels (device/resident.py) and their buffers. Raises OutOfDeviceMemory, CudaFault."""

    most_alone = MOST_COLUMNS

    def __init__(self, gpu: Gpu, memory: Memory, width: int, stream: Any) -> None:
        """`memory`: panel_bytes(width) bytes; `stream`: where all calls are queued."""
        self._gpu, self._memory, self._lane = gpu, memory, stream.lane
        kernels = gpu.kernels("panel")
        self._kernels = {name: kernels[f"panel_{name}"] for name in ("search", "pack", "take", "eliminate")}
        self._kernels["alone"] = gpu.kernels("panel_alone")["panel_alone"]
        self.mine = memory.address + 8 * 2 * BLOCKS
        self.message = self.mine + 8 * 3
        self._arrived = self.message + 8 * (_HEADER + 2 * width)
        self._slots = self._arrived + 8
        self._arrivals = 0
        gpu.set_bytes(self._lane, self._arrived, 0, 8)
        self._numbers = [_long(value) for value in range(width + 1)]

    def begin(
        self, w: int, ld: int, width: int, height: int, has_top: bool, row0: int, nb: int, my_row: int, p: int, below: int, pivots: int
    ) -> None:  # fmt: skip
        blocks = min(BLOCKS, max(1, -(-height // THREADS)))
        self._grid = (blocks, 1)
        self._w, self._width, self._last = (_address(w), _long(ld)), _long(width), _long(height)
        self._has_top = has_top
        self._place = tuple(map(_long, (has_top, row0, nb, my_row, p, below)))
        most = min(_MOST_BLOCKS, ALONE_THREADS, self._gpu.facts.multiprocessors)
        self._alone_blocks = min(most, max(1, -(-height // ALONE_THREADS)))
        self._row0 = _long(row0)
        self._found = (_address(self._memory.address), _long(blocks))
        self._mine, self._message, self._pivots = _address(self.mine), _address(self.message), _address(pivots)

    def alone(self, start: int, stop: int) -> None:
        blocks = self._alone_blocks
        args = (
            *self._w, self._width, self._numbers[start], self._numbers[stop], self._last, self._row0, _address(self._slots), _long(blocks),
            _address(self.mine + 16), self._pivots, _address(self._arrived), _long(self._arrivals),
        )  # fmt: skip
        self._arrivals += (stop - start) * blocks
        self._launch("alone", (blocks, 1), ALONE_THREADS, args)

    def search(self, column: int) -> None:
        number = self._numbers[column]
        first = number if self._has_top else self._width
        self._launch("search", self._grid, THREADS, (*self._w, number, first, self._last, *self._found))

    def pack(self, j: int) -> None:
        args = (*self._w, self._width, self._numbers[j], *self._place, *self._found, self._message, self._mine)
        self._launch("pack", _ONE_BLOCK, THREADS, args)

    def take(self, j: int) -> None:
        args = (*self._w, self._width, self._numbers[j], self._message, self._mine, self._pivots)
        self._launch("take", grid_over(int(self._width), 1), THREADS, args)

    def eliminate(self, j: int, high: int) -> None:
        numbers = self._numbers
        first = numbers[j + 1] if self._has_top else self._width
        args = (*self._w, numbers[j], numbers[high], first, self._last, self._mine, *self._found)
        self._launch("eliminate", self._grid, THREADS, args)

    def free(self) -> None:
        self._memory.free()

    def _launch(self, name: str, grid: tuple[int, int], threads: int, args: tuple[Any, ...]) -> None:
        self._gpu.launch(self._lane, self._kernels[name], f"panel_{name}", grid, args, threads)


_ONE_BLOCK = (1, 1)
