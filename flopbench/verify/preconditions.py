"""What must hold before a product can be judged: the right shapes and types, numbers everywhere, and operands that hide nothing.

Each function gives the fault in one line, or None.
"""

from __future__ import annotations

import numpy as np

from flopbench.kernel_api import GemmOutcome, GemmProblem, HeldMatrix
from flopbench.precision import precision
from flopbench.verify.operands import row_blocks, squared_norms, widen

C_TYPES = {
    "fp64": ("float64",),
    "fp32": ("float32",),
    "tf32": ("float32",),
    "bf16": ("float32", "uint16"),
    "fp16": ("float32", "float16"),
    "fp8": ("float32",),
    "int8": ("int32",),
}
ACCUMULATORS = {
    "fp64": ("float64",),
    "fp32": ("float32", "float64"),
    "tf32": ("float32",),
    "bf16": ("float32",),
    "fp16": ("float32", "float16"),
    "fp8": ("float32",),
    "int8": ("int32",),
}


def wrong_shape(problem: GemmProblem, outcome: GemmOutcome) -> str | None:
    """Shapes and types that are not those of the problem; a kernel that computes in another precision is caught here or by the bound."""
    operand = precision(problem.precision).storage
    m, n, k = problem.m, problem.n, problem.k
    wanted = [("A", outcome.a, (m, k), (operand,)), ("B", outcome.b, (k, n), (operand,))]
    wanted.append(("C", outcome.c, (m, n), C_TYPES[problem.precision]))
    if outcome.c0 is not None:
        wanted.append(("C0", outcome.c0, (m, n), C_TYPES[problem.precision]))
    for name, matrix, shape, types in wanted:
        if matrix.shape != shape:
            return f"{name} has shape {matrix.shape}, expected {shape}"
        if matrix.dtype.name not in types:
            return f"{name} is {matrix.dtype.name}, expected {' or '.join(types)} for {problem.precision}"
    if outcome.accumulator not in ACCUMULATORS[problem.precision]:
        allowed = " or ".join(ACCUMULATORS[problem.precision])
        return f"accumulator {outcome.accumulator!r}, expected {allowed} for {problem.precision}"
    if problem.beta and outcome.c0 is None:
        return "beta is 1, but the kernel did not hand over C as it was before the run"
    return None


def not_finite(outcome: GemmOutcome) -> str | None:
    """A NaN or an infinity, with its place. C is poisoned with NaN before a run, so an unwritten tile shows here."""
    for name, matrix in (("A", outcome.a), ("B", outcome.b), ("C", outcome.c), ("C0", outcome.c0)):
        if matrix is None or matrix.dtype.kind == "i":
            continue
        found = _first_not_finite(matrix) if isinstance(matrix, np.ndarray) else _held_not_finite(matrix)
        if found is not None:
            i, j, value = found
            poison = "; unwritten elements are poisoned with NaN" if name == "C" and np.isnan(value) else ""
            return f"{name} holds {value} at ({i}, {j}){poison}"
    return None


def _first_not_finite(matrix: np.ndarray) -> tuple[int, int, float] | None:
    """(row, column, value) of a number that is none."""
    for block in row_blocks(*matrix.shape):
        values = widen(matrix[block])
        bad = ~np.isfinite(values)
        if bad.any():
            i, j = np.argwhere(bad)[0]
            return block.start + int(i), int(j), float(values[i, j])
    return None


def _held_not_finite(matrix: HeldMatrix) -> tuple[int, int, float] | None:
    """The same without fetching the matrix: a NaN or an infinity makes its column's norm one too. Such columns are looked through."""
    for j in np.flatnonzero(~np.isfinite(squared_norms(matrix, 0))):
        found = _first_not_finite(matrix[:, int(j)].reshape(-1, 1))
        if found is not None:
            return found[0], int(j), found[2]
    return None


def not_random(outcome: GemmOutcome) -> str | None:
    """A check proves nothing on constants: 8 different values at least on a grid of about 64 x 64 elements."""
    for name, matrix in (("A", outcome.a), ("B", outcome.b)):
        rows, columns = (max(1, length // 64) for length in matrix.shape)
        seen = np.unique(matrix[::rows, ::columns])
        if matrix.size >= 64 and seen.size < 8:
            return f"{name} is no random matrix: only {seen.size} different values in it, which would hide errors"
    return None
