"""Which bytes each of our kernels reads and writes, from its arguments: for the bounds check and the search for races."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import Region, column_major, matrix

LANES, GROUPS = 32, 4  # of check.cu
SLOT = 66  # of panel_alone.cu
Footprint = tuple[list[Region], list[Region]]  # reads, writes

_FILLED = {
    "fill_float64": "float64",
    "fill_float32": "float32",
    "fill_float16": "uint16",
    "fill_bfloat16": "uint16",
    "fill_e4m3": "uint8",
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


def _held(a: int, step_i: int, step_j: int, rows: int, cols: int, dtype: str) -> Region:
    """A matrix that may be the transpose of what is stored."""
    if step_i == 1:
        return column_major(a, rows, cols, step_j, dtype)
    return column_major(a, cols, rows, step_i, dtype)


def _weigh(dtype: str) -> Callable[..., Footprint]:
    def of(a: int, si: int, sj: int, rows: int, cols: int, x: int, squared: int, partial: int) -> Footprint:
        weights = column_major(x, rows, GROUPS, rows, "float64")
        return [_held(a, si, sj, rows, cols, dtype), weights], [_vector(partial, LANES * cols * GROUPS)]

    return of


def _count(dtype: str) -> Callable[..., Footprint]:
    def of(a: int, si: int, sj: int, rows: int, cols: int, x: int, partial: int) -> Footprint:
        return [_held(a, si, sj, rows, cols, dtype), _vector(x, rows)], [_vector(partial, LANES * cols)]

    return of


def _twofold(a: int, si: int, sj: int, rows: int, cols: int, hi: int, lo: int, to_hi: int, to_lo: int) -> Footprint:
    reads = [_held(a, si, sj, rows, cols, "float64"), _vector(hi, rows), _vector(lo, rows)]
    return reads, [_vector(to_hi, LANES * cols), _vector(to_lo, LANES * cols)]


def _add_lanes(partial: int, sums: int, result: int) -> Footprint:
    return [_vector(partial, LANES * sums)], [_vector(result, sums)]


def _add_lanes_twofold(hi: int, lo: int, sums: int, to_hi: int, to_lo: int) -> Footprint:
    return [_vector(hi, LANES * sums), _vector(lo, LANES * sums)], [_vector(to_hi, sums), _vector(to_lo, sums)]


def _pick(dtype: str) -> Callable[..., Footprint]:
    def of(a: int, si: int, sj: int, rows: int, cols: int, row: int, col: int, count: int, picked: int) -> Footprint:
        for name, place, length in (("rows", row, rows), ("columns", col, cols)):
            values = matrix(place, count, 1, count, "int64")[:, 0]
            if count and not 0 <= values.min() <= values.max() < length:
                raise AssertionError(f"{name} must be within 0 .. {length - 1}, got {values.tolist()}")
        reads = [_held(a, si, sj, rows, cols, dtype), _vector(row, count), _vector(col, count)]
        return reads, [column_major(picked, count, 1, count, dtype)]

    return of


def _vector(place: int, count: int) -> Region:
    """`count` numbers of 8 bytes."""
    return column_major(place, count, 1, count, "int64")


def _spin(rounds: int, sink: int) -> Footprint:
    return [], [column_major(sink, 1, 1, 1, "float64")]


def _panel_search(w: int, ld: int, column: int, first: int, last: int, found: int, parts: int) -> Footprint:
    return [column_major(w + 8 * (first + column * ld), last - first, 1, ld, "float64")], [_line(found, 2 * parts)]


def _panel_pack(w: int, ld: int, width: int, j: int, has_top: int, *rest: int) -> Footprint:
    """The candidate may be any row: the whole panel counts as read."""
    found, parts, message, mine = rest[-4:]
    return [column_major(w, ld, width, ld, "float64"), _line(found, 2 * parts)], [
        _line(message, 4 + 2 * width),
        _line(mine, 3),
    ]


def _panel_take(w: int, ld: int, width: int, j: int, message: int, mine: int, pivots: int) -> Footprint:
    """The candidate may be any row: the whole panel counts as written."""
    return [_line(message, 4 + 2 * width), _line(mine, 2)], [
        column_major(w, ld, width, ld, "float64"),
        _line(pivots + 8 * j, 1),
    ]


def _panel_alone(w: int, ld: int, width: int, start: int, stop: int, last: int, row0: int, *rest: int) -> Footprint:
    """Any row from `start` on may be a pivot row."""
    slots, blocks, singular, pivots, arrived, _ = rest
    block = column_major(w + 8 * start, last - start, width, ld, "float64")
    between = [_line(slots, 2 * (blocks + 1) * SLOT), _line(arrived, 1)]
    return [block, *between], [block, *between, _line(singular, 1), _line(pivots + 8 * start, stop - start)]


def _panel_eliminate(
    w: int, ld: int, j: int, high: int, first: int, last: int, mine: int, found: int, parts: int
) -> Footprint:
    columns = max(high, j + 1) - j
    row = column_major(w + 8 * (j + j * ld), 1, columns, ld, "float64")
    block = column_major(w + 8 * (first + j * ld), last - first, columns, ld, "float64")
    return [row, block], [block, _line(mine + 16, 1), _line(found, 2 * parts)]


def _line(address: int, count: int) -> Region:
    return column_major(address, count, 1, count, "float64")


_KERNELS: dict[str, Callable[..., Footprint]] = {
    "hpl_fill": _hpl_fill,
    "rows_gather": _gather,
    "rows_scatter": _scatter,
    "rows_swap": _swap,
    "spin": _spin,
    "panel_search": _panel_search,
    "panel_pack": _panel_pack,
    "panel_take": _panel_take,
    "panel_alone": _panel_alone,
    "panel_eliminate": _panel_eliminate,
    "weigh_float64": _weigh("float64"),
    "weigh_float32": _weigh("float32"),
    "weigh_float16": _weigh("uint16"),
    "weigh_bfloat16": _weigh("uint16"),
    "weigh_e4m3": _weigh("uint8"),
    "count_int8": _count("int8"),
    "count_int32": _count("int32"),
    "twofold_float64": _twofold,
    "add_lanes_float64": _add_lanes,
    "add_lanes_uint64": _add_lanes,
    "add_lanes_twofold": _add_lanes_twofold,
    "pick_1": _pick("int8"),
    "pick_2": _pick("uint16"),
    "pick_4": _pick("int32"),
    "pick_8": _pick("int64"),
}
