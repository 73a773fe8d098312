"""Which bytes each of our kernels reads and writes, from its arguments: for the bounds check and the search for races."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import Region, column_major, matrix

Footprint = tuple[list[Region], list[Region]]  # reads, writes

_FILLED = {
    "fill_float64": "float64",
    "fill_float32": "float32",
    "fill_float16": "uint16",
    "fill_bfloat16": "uint16",
    "fill_int8": "int8",
    "fill_int32": "int32",
}


def footprint(kernel: str, args: tuple) -> Footprint:
    """Reads and writes of one launch. Index arrays are read, so they must have been written."""
    values = [int(value) for value in args]
    if kernel in _FILLED:
        a, lda, rows, cols = values[:4]
        return [], [column_major(a, rows, cols, lda, _FILLED[kernel])]
    return _KERNELS[kernel](*values)


def _hpl_fill(a: int, lda: int, rows: int, cols: int, *_: int) -> Footprint:
    return [], [column_major(a, rows, cols, lda, "float64")]


def _gather(a: int, lda: int, rows: int, count: int, cols: int, packed: int, ldp: int) -> Footprint:
    index, touched, pack = _rows(a, lda, rows, count, cols, packed, ldp)
    return [index, touched], [pack]


def _scatter(a: int, lda: int, rows: int, count: int, cols: int, packed: int, ldp: int) -> Footprint:
    index, touched, pack = _rows(a, lda, rows, count, cols, packed, ldp)
    if len(np.unique(matrix(rows, count, 1, count, "int64"))) != count:
        raise AssertionError("rows_scatter: two packed rows have the same target")
    return [index, pack], [touched]


def _rows(a: int, lda: int, rows: int, count: int, cols: int, packed: int, ldp: int) -> tuple[Region, Region, Region]:
    indices = matrix(rows, count, 1, count, "int64")[:, 0]
    low, high = (int(indices.min()), int(indices.max())) if count else (0, -1)
    if low < 0 or high >= lda:
        raise AssertionError(f"rows must be within 0 .. {lda - 1}, got {indices.tolist()}")
    index = column_major(rows, count, 1, count, "int64")
    touched = column_major(a + low * 8, high - low + 1, cols, lda, "float64")
    return index, touched, column_major(packed, count, cols, ldp, "float64")


def _swap(a: int, lda: int, cols: int, pivots: int, k: int, count: int) -> Footprint:
    values = matrix(pivots, count, 1, count, "int32")[:, 0]
    last = max(int(values.max(initial=0)), count)
    if values.min(initial=1) < 1 or k + last > lda:
        raise AssertionError(f"pivots must be within 1 .. {lda - k}, got {values.tolist()}")
    block = column_major(a + k * 8, last, cols, lda, "float64")
    return [column_major(pivots, count, 1, count, "int32"), block], [block]


def _spin(rounds: int, sink: int) -> Footprint:
    return [], [column_major(sink, 1, 1, 1, "float64")]


_KERNELS: dict[str, Callable[..., Footprint]] = {
    "hpl_fill": _hpl_fill,
    "rows_gather": _gather,
    "rows_scatter": _scatter,
    "rows_swap": _swap,
    "spin": _spin,
}
