"""Sampled elements of a product, each computed exactly: the direct half of the GEMM check, and what the error bound is scaled by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flopbench.kernel_api import GemmOutcome
from flopbench.verify.operands import widen

#: Sampled elements, fewer for very long dot products.
COUNT = 128
_BUDGET = 1 << 21  # terms summed exactly in all
_SPLITTER = 134217729.0  # 2^27 + 1


@dataclass(frozen=True)
class Samples:
    """Elements (rows[s], columns[s]) of C. `exact` is correctly rounded to float64, `found` is what the kernel wrote.

    scale         ||a_i|| ||b_j||, the Cauchy-Schwarz bound on every partial sum
    walk          sqrt(sum_l s_l^2) / scale with s_l the partial sums in natural order: how far rounding errors can add up at random
    walk_one      sum_l |s_l| / scale: how far they add up if all have one sign
    products      sqrt(sum_l p_l^2) / scale with p_l the products
    """

    rows: np.ndarray
    columns: np.ndarray
    exact: np.ndarray
    found: np.ndarray
    scale: np.ndarray
    walk: np.ndarray
    walk_one: np.ndarray
    products: np.ndarray


def take(outcome: GemmOutcome, random: np.random.Generator) -> Samples:
    """The four corners of C and elements at random, the exact values with them. Values must be finite."""
    m, k = outcome.a.shape
    n = outcome.b.shape[1]
    count = max(4, min(COUNT, _BUDGET // k))
    rows = np.concatenate([[0, 0, m - 1, m - 1], random.integers(0, m, count - 4)])
    columns = np.concatenate([[0, n - 1, 0, n - 1], random.integers(0, n, count - 4)])
    found = widen(outcome.c[rows, columns])
    start = np.zeros(count) if outcome.c0 is None else widen(outcome.c0[rows, columns])
    exact, scale, walk, walk_one, products = (np.empty(count) for _ in range(5))
    for s in range(count):
        a, b = widen(outcome.a[rows[s], :]), widen(outcome.b[:, columns[s]])
        terms, errors = two_product(a, b)
        sums = np.cumsum(terms)
        exact[s] = math.fsum([start[s], *terms.tolist(), *errors.tolist()])
        scale[s] = math.sqrt(math.fsum(a * a) * math.fsum(b * b))
        unit = scale[s] or 1.0
        walk[s] = np.linalg.norm(sums) / unit
        walk_one[s] = np.abs(sums).sum() / unit
        products[s] = np.linalg.norm(terms) / unit
    return Samples(rows, columns, exact, found, scale, walk, walk_one, products)


def two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p, e) with p = fl(a b) and p + e = a b exactly (Dekker 1971), elementwise, float64; no overflow or underflow assumed."""
    p = a * b
    a_top, b_top = (_SPLITTER * v - (_SPLITTER * v - v) for v in (a, b))
    a_low, b_low = a - a_top, b - b_top
    return p, ((a_top * b_top - p) + a_top * b_low + a_low * b_top) + a_low * b_low
