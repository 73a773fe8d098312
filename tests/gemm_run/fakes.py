"""A clock that stands still until a kernel runs, and kernels that take as long as they are told: no test here measures time."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flopbench import results
from flopbench.comm import SelfComm
from flopbench.flops import gemm_flops
from flopbench.gemm_run import GemmRequest, GemmRun
from flopbench.kernel_api import GemmOutcome, Kernel
from flopbench.plan import Room
from flopbench.progress import Progress
from flopbench.record import Context

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from record_fixtures import MACHINE


@dataclass
class FakeClock:
    """Seconds that pass only when somebody says so."""

    t: float = 0.0

    def __call__(self) -> float:
        return self.t


@dataclass
class Log:
    """What happened to all kernels of one class."""

    events: list[str] = field(default_factory=list)
    runs: int = 0  # of the shapes larger than the probe's


class FakePeaks:
    def prepare(self, kernel):
        self.prepared = True

    def rpeak(self, kernel):
        return None, "a test has no Rpeak"

    def ceiling(self, kernel):
        assert self.prepared, "the ceiling is measured before the runs"
        return results.Ceiling(flops=2e9, method="invented"), None


def fake_kernel(
    clock,
    rate=1e9,
    seconds=None,
    spoil=None,
    reason=None,
    error=None,
    precision="fp32",
    backend="fake",
    nbytes=None,
    real=True,
    device="cpu",
    aside=None,
):
    """A kernel class: `rate` operations a second, or `seconds(run number)` each; `spoil(c, run number)` damages its product.

    `rate` may be a function of n. `real=False`: every product is of 8 x 8 in fact, for sizes that a test cannot compute.
    `aside(n)`: seconds to set up.
    """
    log = Log()

    class Fake(Kernel):
        def why_not(self, machine):
            return reason

        def memory_bytes(self, problem):
            return nbytes(problem) if nbytes else 1

        def setup(self, problem, comm, machine):
            if error:
                raise error
            log.events.append(f"setup {problem.n}")
            random = np.random.default_rng(problem.seed)
            self.problem = problem
            self.cost = gemm_flops(problem.m, problem.n, problem.k)
            m, n, k = (problem.m, problem.n, problem.k) if real else (8, 8, 8)
            clock.t += aside(problem.n) if aside else 0.0
            self.a = random.uniform(-1, 1, (m, k)).astype(np.float32)
            self.b = random.uniform(-1, 1, (k, n)).astype(np.float32)
            self.c = np.empty((m, n), np.float32)

        def reset(self):
            self.c.fill(np.nan)

        def run(self):
            log.runs += 1
            log.events.append(f"run {self.problem.n} {self.problem.seed}")
            np.matmul(self.a, self.b, out=self.c)
            clock.t += seconds(log.runs) if seconds else self.cost / (rate(self.problem.n) if callable(rate) else rate)
            if spoil:
                spoil(self.c, log.runs)

        def outcome(self):
            return GemmOutcome(self.a, self.b, self.c, "float32")

        def close(self):
            log.events.append("close")

        def describe(self):
            return {"isa": "fake"} if hasattr(self, "a") else {}

    Fake.name = f"gemm_{precision}_{backend}"
    Fake.routine, Fake.precision, Fake.backend, Fake.summary = "gemm", precision, backend, "a test's"
    Fake.accumulator = "float32"
    Fake.device = device
    Fake.log = log
    return Fake


def job(clock, request=None, room=1 << 40, machine=MACHINE, settle=lambda: None):
    """A GemmRun on an invented machine, silent, with the fake clock, on which nothing waits for idle threads."""
    environment = results.Environment(
        python="x", libraries={}, blas=[], variables={}, kernel={}, load_average_1min=None, governor=None, warnings=[]
    )
    context = Context(SelfComm(), machine, 2, FakePeaks(), environment)
    return GemmRun(
        request or GemmRequest(), context, Progress(quiet=True), Room(room, "in this test"), [], clock, settle
    )
