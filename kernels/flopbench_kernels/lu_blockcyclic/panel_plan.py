"""The recursive panel factorisation as a list of steps: what HPL's RFACT, NDIV and NBMIN mean, worked out before the clock starts.

A panel of `width` columns is split into NDIV parts until a part has at most NBMIN columns (HPL 2.3, HPL_pdrpan*.c); PFACT factors
such a part column by column. The three orders differ in when the rest of the panel is brought up to date:

    right   after a part, everything to the right of it, at once
    left    before a part, the part itself, from everything to the left of it
    crout   before a part, the part's columns; after it, only its rows of what lies to the right
"""

from __future__ import annotations

import numpy as np

FACTOR = 0  # columns a .. b-1, one by one
TRSM = 1  # U[a:b, c:d] = L1[a:b, a:b]^-1 U[a:b, c:d]
GEMM = 2  # rows from a on (those that are still candidates for pivots): W[a:, c:d] -= W[a:, e:f] U[e:f, c:d]
GEMM_TOP = 3  # rows a .. b-1 of the top block: U[a:b, c:d] -= L1[a:b, e:f] U[e:f, c:d]
FIELDS = 7  # kind, a, b, c, d, e, f


def plan(width: int, rfact: str, ndiv: int, nbmin: int) -> np.ndarray:
    """The steps in order, shape (count, FIELDS), int64."""
    steps: list[tuple[int, ...]] = []
    _split(steps, 0, width, rfact, max(2, ndiv), max(1, nbmin))
    return np.array(steps, dtype=np.int64).reshape(-1, FIELDS)


def _split(steps: list[tuple[int, ...]], start: int, stop: int, rfact: str, ndiv: int, nbmin: int) -> None:
    if stop - start <= nbmin:
        steps.append((FACTOR, start, stop, 0, 0, 0, 0))
        return
    units = -(-(stop - start) // nbmin)
    part = -(-units // ndiv) * nbmin
    for low in range(start, stop, part):
        high = min(low + part, stop)
        if rfact == "left" and low > start:
            steps.append((TRSM, start, low, low, high, 0, 0))
        if rfact != "right" and low > start:
            steps.append((GEMM, low, 0, low, high, start, low))
        _split(steps, low, high, rfact, ndiv, nbmin)
        if high == stop:
            return
        if rfact == "crout" and low > start:
            steps.append((GEMM_TOP, low, high, high, stop, start, low))
        if rfact != "left":
            steps.append((TRSM, low, high, high, stop, 0, 0))
        if rfact == "right":
            steps.append((GEMM, high, 0, high, stop, low, high))
