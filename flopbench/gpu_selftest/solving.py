"""Items 7 to 9: the LU against LAPACK and cuSOLVER, under stress, and beyond 2^31 elements."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np

from flopbench.gpu_selftest.bench import Bench, Finding, judged, skipped, solve

BEYOND_INT32 = 47_104  # N^2 > 2^31, and a multiple of the NB below
_STRESS_NB = 64
PANELS = ("host", "device")


def against_lapack(bench: Bench) -> Finding:
    """7: small N with every kind of edge against LAPACK, panels on the host and on the GPU.

    Large N by HPL's residual and against cuSOLVER; a singular matrix.
    """
    from flopbench_kernels.lu_cusolver import LuCusolver

    wrong, ratios = [], {}
    for n in bench.sizes.lu:
        x, expected = _lapack(n)
        for nb, panel in product(sorted({1, 16, 32, max(1, n - 1), n}), PANELS):
            outcome, verdict, pivots = solve(bench, n, nb, panel=panel)
            if (
                verdict.verdict != "PASSED"
                or not np.array_equal(pivots, expected)
                or not np.allclose(outcome.x, x, rtol=1e-6)
            ):
                wrong.append(f"N={n} NB={nb} panel={panel}")
    for n in bench.sizes.large_lu:
        for name, kernel, extra in (
            *((f"panel={panel}", None, {"panel": panel}) for panel in PANELS),
            ("cusolver", LuCusolver, {}),
        ):
            verdict = solve(bench, n, min(n, 256), kernel, **extra)[1]
            ratios[f"{name} N={n}"] = verdict.value
            if verdict.verdict != "PASSED":
                wrong.append(f"{name} N={n}")
    singular = solve(bench, 40, 16, matrix=Ones())[0].singular
    if not singular:
        wrong.append("a singular matrix was not reported")
    reason = f"pivots, x and residuals agree with panel=host and panel=device; wrong: {', '.join(wrong) or 'none'}"
    return judged(not wrong, reason, residuals=ratios)


class Ones:
    """A singular matrix."""

    def fill(self, out: np.ndarray, row0: int, col0: int) -> None:
        out[:] = 1.0


def _lapack(n: int) -> tuple[np.ndarray, np.ndarray]:
    """x and pivots, counted from 0, by LAPACK."""
    from scipy.linalg import lapack

    from flopbench.hpl_matrix import HplMatrix

    full = np.empty((n, n + 1), order="F")
    HplMatrix(n).fill(full, 0, 0)
    _, pivots, x, _ = lapack.dgesv(full[:, :n], full[:, n])
    return x, pivots


def stress(bench: Bench) -> Finding:
    """8: delays at random places change no bit of x; nor does a run without asynchrony; compute-sanitizer finds nothing."""
    n = bench.sizes.stress_n
    calm = digest(solve(bench, n, _STRESS_NB)[0].x)
    different = [
        seed
        for seed in range(bench.sizes.stress_seeds)
        if digest(solve(bench, n, _STRESS_NB, delayed(seed))[0].x) != calm
    ]
    numbers: dict[str, Any] = {"seeds": bench.sizes.stress_seeds, "different": different}
    if bench.real:
        job = [
            sys.executable,
            "-m",
            "flopbench.gpu_selftest.subject",
            "solve",
            str(n),
            str(_STRESS_NB),
            str(bench.index),
        ]
        numbers["blocking_equal"] = _output(job, CUDA_LAUNCH_BLOCKING="1") == calm
        tool = shutil.which("compute-sanitizer")
        for check in ("memcheck", "racecheck", "initcheck") if tool else ():
            done = subprocess.run(
                [tool, "--tool", check, "--error-exitcode", "9", *job], capture_output=True, text=True, check=False
            )
            numbers[check] = done.returncode == 0
        if not tool:
            numbers["compute-sanitizer"] = "not installed"
    good = not different and all(value is not False for value in numbers.values())
    return judged(
        good,
        f"x has the same bits in {numbers['seeds'] - len(different)} of {numbers['seeds']} delayed runs",
        **numbers,
    )


def digest(x: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(x)).hexdigest()


def _output(job: list[str], **environment: str) -> str:
    done = subprocess.run(job, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr[-300:]}"


def delayed(seed: int) -> type:
    """lu_fp64_cupy on a device that spins before some of its operations."""
    from flopbench_kernels.device.cuda import CudaDevice
    from flopbench_kernels.lu_cupy import LuFp64Cupy

    dice = random.Random(seed)

    class SpinningDevice(CudaDevice):
        """Puts a kernel that takes its time before one operation in four."""

        def __init__(self, gpu: Any) -> None:
            super().__init__(gpu)
            self._spin = gpu.kernels("spin")["spin"]
            self._sink = self.allocate(1)

        def _maybe(self, stream: Any) -> None:
            if dice.random() < 0.25:
                rounds = np.int64(dice.choice((100, 10_000, 100_000)))
                self.gpu.launch(stream.lane, self._spin, "spin", (1,), (rounds, np.uint64(self._sink.address)))

        def close(self) -> None:
            self._sink.free()
            super().close()

    def wrapped(name: str) -> Any:
        plain = getattr(CudaDevice, name)

        def call(self: SpinningDevice, stream: Any, *args: Any) -> None:
            self._maybe(stream)
            plain(self, stream, *args)

        return call

    for name in ("gemm", "trsm", "permute_rows", "copy_in", "copy_out"):
        setattr(SpinningDevice, name, wrapped(name))

    class Delayed(LuFp64Cupy):
        def make_device(self, threads: int, comm: Any) -> CudaDevice:
            return SpinningDevice(self._gpu)

    return Delayed


def beyond_int32(bench: Bench) -> Finding:
    """9: a matrix of more than 2^31 elements, if it fits."""
    from flopbench_kernels.lu_cupy import LuFp64Cupy

    from flopbench.hpl_matrix import HplMatrix
    from flopbench.kernel_api import LuProblem

    gpu = bench.gpu()
    free = gpu.libraries.free_bytes()
    gpu.close()
    needed = LuFp64Cupy(bench.settings()).memory_bytes(
        LuProblem(n=BEYOND_INT32, nb=512, matrix=HplMatrix(BEYOND_INT32))
    )
    if free < needed:
        return skipped(
            f"NOT TESTED: N = {BEYOND_INT32} needs {needed} bytes, {free} are free", needed=needed, free=free
        )
    verdict = solve(bench, BEYOND_INT32, 512)[1]
    return judged(verdict.verdict == "PASSED", f"N = {BEYOND_INT32}: {verdict.reason}", residual=verdict.value)
