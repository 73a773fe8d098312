"""Later repeats against one that was checked in full: each leaves the same product, up to rounding, at the cost of one pass over C."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flopbench.kernel_api import GemmOutcome
from flopbench.verify import freivalds
from flopbench.verify.bound import Bound
from flopbench.verify.operands import times


class Watch:
    """Weighted sums of C's columns, with weights that no kernel knows, of the repeat that passed the full check.

    For floats two correct products may differ by the rounding of their sums, twice the bound at most; operands are rounded alike in both.
    Integers (no bound) may not differ at all.
    """

    def __init__(
        self,
        outcome: GemmOutcome,
        random: np.random.Generator,
        bound: Bound | None = None,
        row_norms2: np.ndarray | None = None,
        column_norms2: np.ndarray | None = None,
    ) -> None:
        self._allowed = np.zeros((1, outcome.c.shape[1]))
        if bound is None or row_norms2 is None or column_norms2 is None:
            self._weights = freivalds.integer_weights(outcome.c.shape[0], random)
        else:
            self._weights = freivalds.weights(outcome.c.shape[0], 1, 0, random)
            self._allowed = 2.0 * replace(bound, operands=0.0).of_groups(
                self._weights, row_norms2, column_norms2, outcome
            )
        self._expected = self._sums(outcome)

    def differing_columns(self, outcome: GemmOutcome) -> np.ndarray:
        """Columns of C that are not as they were; a NaN differs from everything."""
        found = self._sums(outcome)
        if found.dtype == np.uint64:
            return np.flatnonzero((found != self._expected)[0])
        with np.errstate(invalid="ignore"):
            return np.flatnonzero(~(np.abs(found - self._expected) <= self._allowed)[0])

    def _sums(self, outcome: GemmOutcome) -> np.ndarray:
        if self._weights.dtype == np.float64:
            with np.errstate(invalid="ignore"):
                return times(self._weights, outcome.c)
        return freivalds.times_modulo(self._weights, outcome.c)
