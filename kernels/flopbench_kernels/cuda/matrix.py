"""Matrices on the GPU, column-major, with leading dimensions that every alignment rule of cuBLAS divides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flopbench_kernels.cuda import constants as const

_PAD_BYTES = 128


@dataclass(frozen=True)
class Matrix:
    """A matrix on the GPU, as stored: `array` is a cupy.ndarray, column-major, of `rows` x `cols` with leading dimension `ld`."""

    array: Any
    kind: int
    rows: int
    cols: int
    ld: int

    @property
    def address(self) -> int:
        return int(self.array.data.ptr)

    @property
    def bytes(self) -> int:
        return stored_bytes(self.kind, self.rows, self.cols)


def leading_dimension(kind: int, rows: int) -> int:
    """Elements from one column to the next: `rows`, padded to 128 bytes, which every alignment rule of cuBLAS divides."""
    unit = _PAD_BYTES // np.dtype(const.DATA_TYPE_NUMPY[kind]).itemsize
    return max(1, -(-rows // unit)) * unit


def stored_bytes(kind: int, rows: int, cols: int) -> int:
    """Bytes of a column-major matrix with the padded leading dimension."""
    return leading_dimension(kind, rows) * max(1, cols) * np.dtype(const.DATA_TYPE_NUMPY[kind]).itemsize
