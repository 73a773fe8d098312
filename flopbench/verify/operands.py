"""Reading the matrices of a GemmOutcome: any strides, bfloat16 and FP8 as bit patterns, always a block at a time.

What stays on a GPU (HeldMatrix) is asked instead: it forms the same sums where it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flopbench.kernel_api import HeldMatrix

#: Elements of one block of rows that a check widens to float64 at a time: 4 MiB.
BLOCK_ELEMENTS = 1 << 19


def widen(values: np.ndarray) -> np.ndarray:
    """The numbers in `values` as C-contiguous float64, exactly. uint16 means bfloat16, the upper half of a float32; uint8 means E4M3."""
    if values.dtype == np.uint8:
        return _E4M3[np.ascontiguousarray(values)]
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(values, dtype=np.float64)


def _e4m3_values() -> np.ndarray:
    """The number of every bit pattern of E4M3: sign, 4 bits of exponent with bias 7, 3 of significand; no infinities, one NaN of each sign.

    Source: OCP 8-bit Floating Point Specification (OFP8), revision 1.0, section 5.
    """
    patterns = np.arange(128)
    exponent, rest = patterns >> 3, patterns & 7
    size = np.where(exponent == 0, np.ldexp(rest, -9), np.ldexp(8.0 + rest, exponent - 10))
    size[127] = np.nan
    return np.concatenate([size, -size])


_E4M3 = _e4m3_values()


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices that cut `rows` rows of `columns` elements into blocks of at most BLOCK_ELEMENTS, one row at least."""
    step = max(1, BLOCK_ELEMENTS // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def times(x: np.ndarray, matrix: np.ndarray | HeldMatrix, squared: bool = False) -> np.ndarray:
    """x @ matrix, or x @ matrix^2 elementwise, in float64, a block of rows at a time."""
    if not isinstance(matrix, np.ndarray):
        return matrix.times(x, squared)
    result = np.zeros((x.shape[0], matrix.shape[1]))
    for block in row_blocks(*matrix.shape):
        values = widen(matrix[block])
        result += np.ascontiguousarray(x[:, block]) @ (np.square(values) if squared else values)
    return result


def squared_norms(matrix: np.ndarray | HeldMatrix, axis: int) -> np.ndarray:
    """Squared Euclidean norms of the rows (axis 1) or columns (axis 0) of `matrix`, float64."""
    rows, columns = matrix.shape
    if not isinstance(matrix, np.ndarray):
        down = matrix.T if axis == 1 else matrix
        return down.times(np.ones((1, down.shape[0])), squared=True)[0]
    total = np.zeros(rows if axis == 1 else columns)
    for block in row_blocks(rows, columns):
        part = np.square(widen(matrix[block])).sum(axis=axis)
        if axis == 1:
            total[block] = part
        else:
            total += part
    return total
