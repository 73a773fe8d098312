"""Reading the matrices of a GemmOutcome: any strides, bfloat16 as bit patterns, always a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Elements of one block of rows that a check widens to float64 at a time: 4 MiB.
BLOCK_ELEMENTS = 1 << 19


def widen(values: np.ndarray) -> np.ndarray:
    """The numbers in `values` as C-contiguous float64, exactly. uint16 means bfloat16 bit patterns: the upper half of a float32."""
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(values, dtype=np.float64)


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices that cut `rows` rows of `columns` elements into blocks of at most BLOCK_ELEMENTS, one row at least."""
    step = max(1, BLOCK_ELEMENTS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def squared_norms(matrix: np.ndarray, axis: int) -> np.ndarray:
    """Squared Euclidean norms of the rows (axis 1) or columns (axis 0) of `matrix`, float64."""
    rows, columns = matrix.shape
    total = np.zeros(rows if axis == 1 else columns)
    for block in row_blocks(rows, columns):
        part = np.square(widen(matrix[block])).sum(axis=axis)
        if axis == 1:
            total[block] = part
        else:
            total += part
    return total
