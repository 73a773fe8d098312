"""The columns of a panel on a GPU: our kernels of sources/panel.cu, with the buffers between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench_kernels.cuda.context import Gpu, grid_over
from flopbench_kernels.device.contract import Memory

PARTS = 1 << 14  # threads that search and eliminate: 64 blocks, each with its candidate
_FEWER = 256  # candidates that are left for the threads of panel_pack, each of which looks at all of them
_HEADER = 4  # of a message, in float64

_address, _long = np.uint64, np.int64


def panel_bytes(width: int) -> int:
    """GPU memory of the buffers, for panels of `width` columns."""
    return 8 * (2 * PARTS + 2 * _FEWER + _HEADER + 2 * width + 3)


class CudaPanelKernels:
    """The kernels and their buffers. Raises OutOfDeviceMemory, CudaFault."""

    def __init__(self, gpu: Gpu, memory: Memory) -> None:
        """`memory`: panel_bytes(width) bytes."""
        self._gpu, self._memory = gpu, memory
        self._kernels = gpu.kernels("panel")
        self._found = memory.address
        self._few = self._found + 8 * 2 * PARTS
        self.mine = self._few + 8 * 2 * _FEWER
        self.message = self.mine + 8 * 3

    def search(self, stream: Any, w: int, ld: int, column: int, first: int, last: int) -> None:
        args = (_address(w), _long(ld), _long(column), _long(first), _long(last), _address(self._found), _long(PARTS))
        self._launch(stream, "panel_search", PARTS, args)

    def pack(
        self, stream: Any, w: int, ld: int, width: int, j: int, has_top: bool, row0: int, nb: int, my_row: int, p: int, below: int
    ) -> None:  # fmt: skip
        narrow = (_address(self._found), _long(PARTS), _address(self._few), _long(_FEWER))
        self._launch(stream, "panel_narrow", _FEWER, narrow)
        numbers = map(_long, (ld, width, j, has_top, row0, nb, my_row, p, below))
        args = (
            _address(w), *numbers, _address(self._few), _long(_FEWER), _address(self.message), _address(self.mine),
        )  # fmt: skip
        self._launch(stream, "panel_pack", width, args)

    def take(self, stream: Any, w: int, ld: int, width: int, j: int, pivots: int) -> None:
        args = (
            _address(w), _long(ld), _long(width), _long(j), _address(self.message), _address(self.mine), _address(pivots),
        )  # fmt: skip
        self._launch(stream, "panel_take", width, args)

    def eliminate(self, stream: Any, w: int, ld: int, j: int, high: int, first: int, last: int) -> None:
        numbers = map(_long, (ld, j, high, first, last))
        args = (_address(w), *numbers, _address(self.mine), _address(self._found), _long(PARTS))
        self._launch(stream, "panel_eliminate", PARTS, args)

    def free(self) -> None:
        self._memory.free()

    def _launch(self, stream: Any, name: str, threads: int, args: tuple[Any, ...]) -> None:
        self._gpu.launch(stream.lane, self._kernels[name], name, grid_over(threads, 1), args)
