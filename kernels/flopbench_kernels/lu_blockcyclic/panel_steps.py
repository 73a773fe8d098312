"""The arithmetic of one panel, compiled: runs the steps of `panel_plan` up to the next pivot that the ranks have to agree on.

The panel W is column-major in one array: its top `width` rows are the top block, of which every rank of the process column ends up
with the same copy (L1 below the diagonal, U on and above it); rows width .. stop-1 are this rank's rows below. Only the rank that holds
the top block on the matrix (`has_top`) starts with values in it. Its rows j .. are candidates for pivot j; other ranks' are width ... .

One exchange per column: `message` holds the rank's best candidate (size, global row, and the whole row) and, from the rank that has it,
row j of the top block, which goes to the place of the pivot. After the exchange it holds the winner on every rank.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from flopbench_kernels.device import blas
from flopbench_kernels.device.rows import doubles_at
from flopbench_kernels.lu_blockcyclic.panel_plan import FACTOR, GEMM, GEMM_TOP, TRSM

LEFT, CROUT, RIGHT = 0, 1, 2

# the message: header, the candidate's row, the top block's row
SIZE, ROW, HAS_TOP, HEADER = 0, 1, 2, 4
NO_ROW = float(2**53)

# the state between two exchanges
STEP, COLUMN, CANDIDATE, SINGULAR, STATE_FIELDS = 0, 1, 2, 3, 4

_STRIP = 512  # rows of a column that are worked on while they lie in the first cache
_SMALLEST = float(np.finfo(np.float64).tiny)  # below, the reciprocal overflows (LAPACK dgetf2's sfmin)


@njit(nogil=True, cache=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def _largest(column):
    """The largest magnitude in a strip."""
    best = 0.0
    for i in range(column.size):
        best = max(best, abs(column[i]))
    return best


@njit(nogil=True, cache=True)
def _first_of_size(w, start, stop, size):
    """The first index in start .. stop-1 whose magnitude is at least `size`; start if there is none (NaN)."""
    for i in range(start, stop):
        if abs(w[i]) >= size:
            return i
    return start


@njit(nogil=True, cache=True, fastmath={"contract"})
def _subtract(w, ld, target, low, high, first, last):
    """Rows first .. last-1 of column `target` lose sum over t in low .. high-1 of W[row, t] W[t, target]."""
    base = target * ld
    t = low
    while t + 4 <= high:
        u0, u1, u2, u3 = w[base + t], w[base + t + 1], w[base + t + 2], w[base + t + 3]
        c0 = w[t * ld + first : t * ld + last]
        c1 = w[(t + 1) * ld + first : (t + 1) * ld + last]
        c2 = w[(t + 2) * ld + first : (t + 2) * ld + last]
        c3 = w[(t + 3) * ld + first : (t + 3) * ld + last]
        out = w[base + first : base + last]
        for i in range(last - first):
            out[i] -= c0[i] * u0 + c1[i] * u1 + c2[i] * u2 + c3[i] * u3
        t += 4
    while t < high:
        u0 = w[base + t]
        c0 = w[t * ld + first : t * ld + last]
        out = w[base + first : base + last]
        for i in range(last - first):
            out[i] -= c0[i] * u0
        t += 1


@njit(nogil=True, cache=True)
def _update_and_search(w, ld, column, low, high, right_edge, first, last):
    """Bring columns column .. right_edge-1 up to date with columns low .. high-1; then the pivot candidate of `column`.

    Returns its magnitude and row; -1 and -1 if there are no rows.
    """
    best, at = -1.0, first
    for start in range(first, last, _STRIP):
        stop = min(start + _STRIP, last)
        for c in range(column, right_edge):
            _subtract(w, ld, c, low, high, start, stop)
        size = _largest(w[column * ld + start : column * ld + stop])
        if size > best:
            best, at = size, start
    if best < 0.0:
        return -1.0, -1
    base = column * ld
    return best, _first_of_size(w, base + at, base + min(at + _STRIP, last), best) - base


@njit(nogil=True, cache=True)
def _scale(w, ld, j, first, last):
    """Column j becomes L: rows first .. last-1 over the pivot. Returns whether the pivot is exactly zero."""
    pivot = w[j + j * ld]
    if pivot == 0.0:
        return True
    column = w[j * ld + first : j * ld + last]
    if abs(pivot) >= _SMALLEST:
        factor = 1.0 / pivot
        for i in range(column.size):
            column[i] *= factor
    else:
        for i in range(column.size):
            column[i] /= pivot
    return False


@njit(nogil=True, cache=True)
def _take_pivot(w, ld, width, j, candidate, is_mine, message):
    """Row j of the top block becomes the pivot row; the row that was there goes to where the pivot was, if that is here."""
    if is_mine and candidate != j:
        for c in range(width):
            w[candidate + c * ld] = message[HEADER + width + c]
    for c in range(width):
        w[j + c * ld] = message[HEADER + c]


@njit(nogil=True, cache=True)
def _swap_rows(w, ld, width, j, candidate):
    """What the exchange of one rank with itself comes to: the pivot row and row j change places."""
    if candidate != j:
        for c in range(width):
            w[j + c * ld], w[candidate + c * ld] = w[candidate + c * ld], w[j + c * ld]


@njit(nogil=True, cache=True)
def _solve_top(w, ld, low, high, column):
    """U[low:high, column] = L1[low:high, low:high]^-1 U[low:high, column]."""
    for t in range(low, high):
        value = w[t + column * ld]
        for i in range(t + 1, high):
            w[i + column * ld] -= w[i + t * ld] * value


@njit(nogil=True, cache=True)
def _update_top_row(w, ld, low, j, right_edge):
    """U[j, j+1 : right_edge] -= L1[j, low:j] U[low:j, j+1 : right_edge]."""
    for c in range(j + 1, right_edge):
        for t in range(low, j):
            w[j + c * ld] -= w[j + t * ld] * w[t + c * ld]


@njit(nogil=True, cache=True)
def _pack(w, ld, width, j, has_top, row0, nb, my_row, rows_of_grid, below0, candidate, size, message):
    """Put this rank's candidate, and row j of the top block if it is here, into the message."""
    message[SIZE] = size
    message[HAS_TOP] = 1.0 if has_top else 0.0
    if candidate < 0:
        message[ROW] = NO_ROW
    elif candidate < width:
        message[ROW] = row0 + candidate
    else:
        local = below0 + candidate - width
        message[ROW] = (local // nb * rows_of_grid + my_row) * nb + local % nb
    if candidate >= 0:
        for c in range(width):
            message[HEADER + c] = w[candidate + c * ld]
    if has_top:
        for c in range(width):
            message[HEADER + width + c] = w[j + c * ld]


@njit(nogil=True, cache=True)
def combine(width, message, other):
    """Of two messages keep the better candidate (the larger; of equals, the upper row, as LAPACK does) and the top row."""
    if other[SIZE] > message[SIZE] or (other[SIZE] == message[SIZE] and other[ROW] < message[ROW]):
        message[SIZE] = other[SIZE]
        message[ROW] = other[ROW]
        for c in range(width):
            message[HEADER + c] = other[HEADER + c]
    if other[HAS_TOP] > 0.0:
        message[HAS_TOP] = 1.0
        for c in range(width):
            message[HEADER + width + c] = other[HEADER + width + c]


@njit(nogil=True, cache=True)
def advance(
    state,
    steps,
    w,
    ld,
    stop,
    width,
    has_top,
    row0,
    nb,
    my_row,
    rows_of_grid,
    below0,
    pfact,
    message,
    mine,
    pivots,
    gemm,
    trsm,
):
    """Go on until the next exchange is due, and return its column; -1 when the panel is done.

    state: int64 (STATE_FIELDS,), [0, -1, ...] at the start. mine: float64 (1,), the global row of this rank's candidate. pivots:
    float64 (width,), out: the global row of every pivot. gemm, trsm: addresses of BLAS routines. Where rows_of_grid is 1, nobody has
    to be asked: the message is left alone, and the next call takes the candidate.
    """
    address = w.ctypes.data
    j = state[COLUMN]
    while True:
        step = state[STEP]
        if j >= 0:
            low, high = steps[step, 1], steps[step, 2]
            if rows_of_grid == 1:
                pivots[j] = row0 + state[CANDIDATE]
                _swap_rows(w, ld, width, j, state[CANDIDATE])
            else:
                pivots[j] = message[ROW]
                _take_pivot(w, ld, width, j, state[CANDIDATE], mine[0] == message[ROW], message)
            first = j + 1 if has_top else width
            if _scale(w, ld, j, first, stop):
                state[SINGULAR] = 1
            if pfact == CROUT:
                _update_top_row(w, ld, low, j, high)
            j += 1
            if j < high:
                if pfact == RIGHT:
                    size, candidate = _update_and_search(w, ld, j, j - 1, j, high, first, stop)
                else:
                    if pfact == LEFT:
                        _solve_top(w, ld, low, j, j)
                    size, candidate = _update_and_search(w, ld, j, low, j, j + 1, first, stop)
                break
            j = -1
            state[STEP] = step + 1
        elif step == steps.shape[0]:
            state[COLUMN] = -1
            return -1
        else:
            kind, a, b, c, d, e, f = steps[step]
            if kind == FACTOR:
                j = a
                size, candidate = _update_and_search(w, ld, j, j, j, j + 1, j if has_top else width, stop)
                break
            if kind == TRSM:
                blas.trsm(trsm, b - a, d - c, address + 8 * (a + a * ld), ld, address + 8 * (a + c * ld), ld)
            else:
                if kind == GEMM:
                    first = a if has_top else width
                    last = stop
                elif kind == GEMM_TOP:
                    first, last = a, b
                blas.gemm(
                    gemm,
                    last - first,
                    d - c,
                    f - e,
                    address + 8 * (first + e * ld),
                    ld,
                    address + 8 * (e + c * ld),
                    ld,
                    address + 8 * (first + c * ld),
                    ld,
                )
            state[STEP] = step + 1
    if rows_of_grid > 1:
        _pack(w, ld, width, j, has_top, row0, nb, my_row, rows_of_grid, below0, candidate, size, message)
        mine[0] = message[ROW]
    state[COLUMN] = j
    state[CANDIDATE] = candidate
    return j


@njit(nogil=True, cache=True)
def factor_alone(state, steps, w, ld, stop, width, row0, nb, pfact, message, mine, pivots, gemm, trsm):
    """The whole panel where the process column is one rank: nobody to ask."""
    while True:
        column = advance(
            state,
            steps,
            w,
            ld,
            stop,
            width,
            True,
            row0,
            nb,
            0,
            1,
            row0 + width,
            pfact,
            message,
            mine,
            pivots,
            gemm,
            trsm,
        )
        if column < 0:
            return


@njit(nogil=True, cache=True)
def copy_block(m, n, source, lds, target, ldt):
    """Target block (m x n) = source block; both host memory, by address."""
    for j in range(n):
        column = carray(doubles_at(source + 8 * j * lds), m)
        carray(doubles_at(target + 8 * j * ldt), m)[:] = column
