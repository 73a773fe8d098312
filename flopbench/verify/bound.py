"""How far a correctly computed product may be from the exact one. docs/method.md, "The bound of the GEMM check", derives it.

V_ij = (sums^2 + operands^2) ||a_i||^2 ||b_j||^2 + start^2 C0_ij^2 + output^2 C_ij^2    variance proxy of one element's error
bound = lambda sqrt(V)                                                                  lambda: how many of them are too many
      + line ||a_i|| ||b_j||                                                            errors of one sign, if they are counted apart
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flopbench.kernel_api import GemmOutcome, GemmProblem
from flopbench.precision import ACCUMULATOR_ROUNDOFF, precision
from flopbench.verify.operands import times
from flopbench.verify.samples import Samples

FALSE_ALARM = 1e-9  # wanted chance that a correct product is called wrong
#: FP8 tensor cores of Hopper line up 32 products and the sum so far by the largest exponent among them, keep 13 bits of fraction and cut
#: the rest off; the sum is kept in 13 bits too (DeepSeek-AI, "Insights into DeepSeek-V3", ISCA 2025, arXiv:2505.09343, section 3.1; the
#: same width on Ada: Zhang et al., "SageAttention2", arXiv:2411.10958).
FP8_STEP, FP8_PRODUCTS = 2.0**-13, 32
_OUTPUT_ROUNDOFF = {"uint16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}


@dataclass(frozen=True)
class Bound:
    """The factors of V, each a multiple of a unit roundoff, and lambda.

    sums     rounding while summing, relative to ||a_i|| ||b_j||
    operands rounding of the operands, if the unit rounds them (TF32), relative to the same
    start    rounding of sums that start from C0 (beta = 1), relative to C0_ij
    output   rounding of the sum to the type of C, relative to C_ij; 0 where C has the accumulator's type
    tail     lambda
    line     errors of one sign (FP8), relative to ||a_i|| ||b_j||
    """

    sums: float
    start: float
    output: float
    tail: float
    operands: float = 0.0
    line: float = 0.0

    @property
    def typical(self) -> float:
        """Of one element, without start and output, relative to ||a_i|| ||b_j||, with all of it taken lambda times."""
        return self.tail * (math.hypot(self.sums, self.operands) + self.line)

    def of_elements(self, scale: np.ndarray, start: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Bound on single elements, given ||a_i|| ||b_j||, C0_ij and C_ij."""
        products = math.hypot(self.sums, self.operands) * scale
        variance = products**2 + (self.start * start) ** 2 + (self.output * found) ** 2
        return self.tail * np.sqrt(variance) + self.line * scale

    def of_groups(
        self, weights: np.ndarray, row_norms2: np.ndarray, column_norms2: np.ndarray, outcome: GemmOutcome
    ) -> np.ndarray:
        """Bound on weights @ (C - A B), shape (groups, n), given the squared norms of A's rows and B's columns."""
        squares = weights**2
        variance = (self.sums**2 + self.operands**2) * np.outer(squares @ row_norms2, column_norms2)
        for factor, matrix in ((self.start, outcome.c0), (self.output, outcome.c)):
            if factor and matrix is not None:
                variance += factor**2 * times(squares, matrix, squared=True)
        return self.tail * np.sqrt(variance) + self._line_of_groups(weights, row_norms2, column_norms2)

    def _line_of_groups(
        self, weights: np.ndarray, row_norms2: np.ndarray, column_norms2: np.ndarray
    ) -> np.ndarray | float:
        """The weights' signs are random, so errors of one sign in every element add up at random too; never beyond the sum of sizes."""
        if not self.line:
            return 0.0
        at_random = self.tail * np.sqrt(weights**2 @ row_norms2)
        together = np.abs(weights) @ np.sqrt(row_norms2)
        return self.line * np.outer(np.minimum(at_random, together), np.sqrt(column_norms2))


def bound_of(problem: GemmProblem, outcome: GemmOutcome, samples: Samples, tests: int) -> Bound:
    """The bound for this problem, its accumulator and its data; `tests` numbers will be held against it."""
    kind = precision(problem.precision)
    u = ACCUMULATOR_ROUNDOFF[outcome.accumulator]
    line = 0.0
    if kind.name == "fp8":
        growth, line = (FP8_STEP / u * errors for errors in _errors_of_aligned_sums(samples, problem.k))
    elif outcome.rounding == "toward_zero":  # each error up to 2 u, all of one sign
        growth = 2.0 * min(2.0 * float(samples.walk_one.max()) + 1.0, problem.k + 1.0)
    else:
        growth = min(2.0 * float(np.hypot(samples.walk, samples.products).max()), math.sqrt(problem.k + 1.0))
    sums, line = u * growth, u * line
    if kind.name != "fp64":  # the check itself rounds, in float64; in FP64 it is twofold
        sums += (problem.k + problem.m) * ACCUMULATOR_ROUNDOFF["float64"]
    operands = 0.0
    if kind.name == "tf32":  # operands come as FP32 and lose 13 bits, cut off at worst: two errors of up to 2 u each
        operands = math.sqrt(8.0) * kind.unit_roundoff * min(1.0, 2.0 * float(samples.products.max()))
    output = _OUTPUT_ROUNDOFF[outcome.c.dtype.name]
    return Bound(
        sums=sums,
        start=u * math.sqrt(problem.k + 1.0),
        output=output if output > u else 0.0,
        operands=operands,
        line=line,
        tail=math.sqrt(2.0 * math.log(2.0 * tests / FALSE_ALARM)),  # Hoeffding: 2 exp(-lambda^2 / 2) each
    )


def _errors_of_aligned_sums(samples: Samples, k: int) -> tuple[float, float]:
    """Errors of FP8 sums, at random and of one sign, in units of FP8_STEP ||a_i|| ||b_j||, if sums are never kept in more bits.

    Each of the 32 products loses less than a step of the largest term M when it is lined up: errors with the products' random signs, of
    variance M^2, and M^2 <= s^2 + p^2. The sum so far, of 13 bits already, loses a step of M only where a product is larger than itself,
    and a step of itself when it is kept: errors of one sign, sum |s| + sum max |p| over the k/32 steps. Twice the largest of the samples.
    """
    steps = -(-k // FP8_PRODUCTS)
    at_random = np.hypot(samples.walk, math.sqrt(FP8_PRODUCTS) * samples.products)
    in_line = samples.walk_one / FP8_PRODUCTS + math.sqrt(steps) * samples.products  # max |p| summed: Cauchy-Schwarz
    return 2.0 * float(at_random.max()), 2.0 * float(in_line.max())
