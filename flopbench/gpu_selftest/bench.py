"""What the items of the self-test share: the GPU under test, sizes, and small jobs on it with host arrays in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from flopbench import timing

Verdict = Literal["PASSED", "FAILED", "SKIPPED"]


@dataclass(frozen=True)
class Finding:
    """Of one item: the verdict, the reason in a sentence, and the numbers it rests on."""

    verdict: Verdict
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)


def judged(good: bool, reason: str, **numbers: Any) -> Finding:
    return Finding("PASSED" if good else "FAILED", reason, numbers)


def skipped(reason: str, **numbers: Any) -> Finding:
    return Finding("SKIPPED", reason, numbers)


@dataclass(frozen=True)
class Sizes:
    """How large the items work: `full` on a GPU, `small` where a stand-in on the processor takes its place."""

    gemm: int
    timed: int
    lu: tuple[int, ...]
    large_lu: tuple[int, ...]
    stress_n: int
    stress_seeds: int
    rounds: int
    thermal_s: float


FULL = Sizes(2048, 8192, (1, 2, 31, 32, 33, 64, 100, 255, 256, 300), (2048, 8192), 1000, 20, 50, 10.0)
SMALL = Sizes(64, 64, (1, 15, 17, 40), (60,), 60, 3, 3, 0.0)


@dataclass
class Bench:
    """The GPU under test. `real` is False over the stand-in: what needs CUDA itself is then skipped."""

    open_libraries: Callable[[], Any]
    index: int = 0
    sizes: Sizes = FULL
    real: bool = True
    now: timing.Clock = timing.clock

    def gpu(self, libraries: Any = None) -> Any:
        """A Gpu of its own, to be closed."""
        from flopbench_kernels.cuda.context import Gpu

        return Gpu(lambda devices: self.index, libraries or self.open_libraries())

    def settings(self, **extra: str) -> Any:
        from flopbench.kernel_api import Settings

        return Settings(threads=None if self.real else 1, device_index=self.index, extra=extra)


def upload(gpu: Any, lane: Any, values: np.ndarray) -> Any:
    """A matrix on the GPU with the values of a host array (any strides; bfloat16 as uint16)."""
    from flopbench_kernels.cuda import constants as const
    from flopbench_kernels.cuda.matrix import Matrix, leading_dimension, stored_bytes

    kind = next(kind for kind, name in const.DATA_TYPE_NUMPY.items() if name == values.dtype.name)
    rows, cols = values.shape
    ld = leading_dimension(kind, rows)
    memory = gpu.allocate(stored_bytes(kind, rows, cols), f"{rows} x {cols}")
    item = values.dtype.itemsize
    array = gpu.libraries.array(memory, (rows, cols), values.dtype.name, (item, ld * item))
    staged = gpu.pinned(rows * cols * item).view(values.dtype).reshape(cols, rows).T
    staged[...] = values
    matrix = Matrix(array, kind, rows, cols, ld)
    gpu.copy(lane, rows, cols, staged.ctypes.data, rows, matrix.address, ld, const.HOST_TO_DEVICE, item)
    gpu.wait(lane.stream, "upload")
    return matrix


def download(gpu: Any, lane: Any, matrix: Any) -> np.ndarray:
    from flopbench_kernels.cuda import constants as const

    kind = const.DATA_TYPE_NUMPY[matrix.kind]
    return gpu.download(lane, matrix.address, matrix.rows, matrix.cols, matrix.ld, kind)


def product(gpu: Any, lane: Any, a: np.ndarray, b: np.ndarray, compute: int, result: str) -> np.ndarray:
    """op(A) B by gemmEx with this compute type; int8 operands travel as "TN", all others as they are."""
    from flopbench_kernels.cuda import constants as const
    from flopbench_kernels.cuda.rules import GEMM_TYPES, GemmCall

    transposed = a.dtype == np.int8
    m, k = a.shape
    n = b.shape[1]
    da, db = upload(gpu, lane, a.T if transposed else a), upload(gpu, lane, b)
    dc = upload(gpu, lane, np.full((m, n), -1 if result == "int32" else np.nan, result))
    scalar = GEMM_TYPES[compute, da.kind, dc.kind][0]
    one, zero = np.array(1, scalar), np.array(0, scalar)
    call = GemmCall(
        const.OP_T if transposed else const.OP_N, const.OP_N, m, n, k, one, da.address, da.kind, da.ld,
        db.address, db.kind, db.ld, zero, dc.address, dc.kind, dc.ld, compute,
    )  # fmt: skip
    gpu.check_gemm(call)
    gpu.gemm(lane, call)
    return download(gpu, lane, dc)


def solve(bench: Bench, n: int, nb: int, kernel: Any = None, matrix: Any = None, **extra: str) -> tuple[Any, Any, Any]:
    """Outcome, verdict and pivots of one LU on the GPU under test; `kernel` is a class, lu_fp64_cupy if None; `extra`, its options.

    No verdict where the matrix is singular; pivots only where the kernel gives them.
    """
    from flopbench.comm import SelfComm
    from flopbench.hpl_matrix import HplMatrix
    from flopbench.kernel_api import LuProblem
    from flopbench.machine.detect import detect
    from flopbench.verify import lu as verify

    if kernel is None:
        from flopbench_kernels.lu_cupy import LuFp64Cupy as kernel  # noqa: N813 - a class as a value
    problem = LuProblem(n=n, nb=nb, matrix=matrix or HplMatrix(n))
    running = kernel(bench.settings(**extra))
    with opened_by(bench):
        running.setup(problem, SelfComm(), detect() if bench.real else None)
        try:
            running.reset()
            running.run()
            outcome = running.outcome()
            verdict = None if outcome.singular else verify.check(problem, outcome, SelfComm())
            return outcome, verdict, running.pivots() if hasattr(running, "pivots") else None
        finally:
            running.close()


@contextmanager
def opened_by(bench: Bench) -> Iterator[None]:
    """Inside, kernels open the libraries of this bench."""
    from flopbench_kernels.cuda import context

    before, context.open_libraries = context.open_libraries, bench.open_libraries
    try:
        yield
    finally:
        context.open_libraries = before
