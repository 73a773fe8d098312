"""The block-cyclic LU on one process against LAPACK's dgetrf, in alternating runs. Not a test: it takes minutes of a whole machine.

    python tests/experiments/lu/against_lapack.py --n 16000 --pairs 5                    against lu_fp64_numpy (OpenBLAS)
    python tests/experiments/lu/against_lapack.py --n 8000 --blas /path/libmkl_rt.so.2   both on that library

Each side is a process that runs once at N = 2500 and once at N to warm up. Both live at once and take turns, one computes at any time:
a virtual core changes its clock by a seventh within seconds (docs/decisions/0016-legs-take-turns.md). Order AB BA.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np

from flopbench.comm import SelfComm
from flopbench.flops import lu_solve_flops
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuOutcome, LuProblem, Settings
from flopbench.machine.detect import detect
from flopbench.registry import load
from flopbench.timing import timed
from flopbench.verify import lu as verify

WARM_UP_N = 2500


class LibraryLu:
    """dgetrf and dgetrs of a library by path, on as many threads as its environment says, behind the calls that a kernel has."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)

    def setup(self, problem: LuProblem) -> None:
        self._problem = problem
        self._matrix = np.empty((problem.n, problem.n + 1), order="F")
        self._pivots = np.empty(problem.n, dtype=np.int32)

    def reset(self) -> None:
        self._problem.matrix.fill(self._matrix, 0, 0)

    def run(self) -> None:
        n, one, info = ctypes.c_int(self._problem.n), ctypes.c_int(1), ctypes.c_int(0)
        a, pivots = ctypes.c_void_p(self._matrix.ctypes.data), ctypes.c_void_p(self._pivots.ctypes.data)
        b = ctypes.c_void_p(self._matrix[:, -1].ctypes.data)
        by = ctypes.byref
        self._library.dgetrf_(by(n), by(n), a, by(n), pivots, by(info))
        self._library.dgetrs_(ctypes.c_char_p(b"N"), by(n), by(one), a, by(n), pivots, b, by(n), by(info))

    def solution(self) -> np.ndarray:
        return self._matrix[:, -1].copy()


@contextlib.contextmanager
def prepared(side: str, given: argparse.Namespace, n: int) -> Iterator[Callable[[], tuple[float, str]]]:
    """What runs `side` once and says FLOP/s and verdict."""
    comm, problem = SelfComm(), LuProblem(n, given.nb, HplMatrix(n, threads=given.threads))
    if side == "library":
        solver = LibraryLu(given.blas)
        solver.setup(problem)
    else:
        name = "lu_fp64_numba" if side == "ours" else "lu_fp64_numpy"
        solver = load(name)(Settings(threads=given.threads, blas=given.blas if side == "ours" else None))
        solver.setup(problem, comm, detect())

    def run() -> tuple[float, str]:
        solver.reset()
        seconds = timed(solver.run, comm)
        outcome = LuOutcome(solver.solution()) if side == "library" else solver.outcome()
        return lu_solve_flops(n) / seconds, verify.check(problem, outcome, comm, given.threads).verdict

    yield run
    if side != "library":
        solver.close()


def one(side: str, given: argparse.Namespace) -> None:
    """In a process of its own: warm up, then one run for each line on stdin, as a line of JSON."""
    with prepared(side, given, min(WARM_UP_N, given.n)) as run:
        run()
    with prepared(side, given, given.n) as run:
        run()
        print("ready", flush=True)
        for _ in sys.stdin:
            rate, verdict = run()
            print(json.dumps({"gflops": rate / 1e9, "verdict": verdict}), flush=True)


class Side:
    """One side's process, which waits for its turn."""

    def __init__(self, side: str, given: argparse.Namespace) -> None:
        self.side = side
        threads = str(given.threads)
        environment = os.environ | dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads
        )
        command = [sys.executable, __file__, "--side", side, "--n", str(given.n), "--nb", str(given.nb)]
        command += ["--threads", threads, *(["--blas", given.blas] if given.blas else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._said("ready")

    def turn(self) -> float:
        """GFLOPS of one run."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        answer = json.loads(self._said("{"))
        if answer["verdict"] != "PASSED":
            raise RuntimeError(f"{self.side}: {answer['verdict']}")
        return float(answer["gflops"])

    def _said(self, beginning: str) -> str:
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line
        raise RuntimeError(f"{self.side}: ended with code {self.process.wait()}")


def main() -> None:
    """See the text at the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16000)
    parser.add_argument("--nb", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--blas")
    parser.add_argument("--side", choices=["ours", "lapack", "library"])
    given = parser.parse_args()
    if given.side:
        one(given.side, given)
        return
    peer = "library" if given.blas else "lapack"
    found = []
    print(
        f"N = {given.n}, NB = {given.nb}, {given.threads} threads, {peer}: {given.blas or 'lu_fp64_numpy'}", flush=True
    )
    legs = [Side(side, given) for side in (peer, "ours")]
    for pair in range(given.pairs):
        rates = {leg.side: leg.turn() for leg in (legs if pair % 2 == 0 else reversed(legs))}
        found.append((rates[peer], rates["ours"]))
        print(
            f"  {peer} {rates[peer]:.1f}, ours {rates['ours']:.1f} GFLOPS: {rates['ours'] / rates[peer]:.3f}",
            flush=True,
        )
    for leg in legs:
        leg.process.communicate()
    medians = [statistics.median(side) for side in zip(*found, strict=True)]
    ratios = [ours / theirs for theirs, ours in found]
    middle, goal = statistics.median(ratios), 0.95 if given.blas else 1.0
    print(
        f"  median of {given.pairs}: {peer} {medians[0]:.1f}, ours {medians[1]:.1f} GFLOPS, ratio median {middle:.3f} "
        f"min {min(ratios):.3f} max {max(ratios):.3f}, >= {goal:.2f} {'holds' if middle >= goal else 'BELOW'}"
    )


if __name__ == "__main__":
    main()
