"""The sweep behind `flopbench gemm`: every kernel that can run, every size that fits, one record each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from flopbench import gemm_measure, gemm_plan, plan, results, timing, units
from flopbench.energy.measure import SHORTEST_S, EnergyMeters, told
from flopbench.errors import NotPossible
from flopbench.gemm_measure import Rule, measure_gemm
from flopbench.gemm_plan import Shape
from flopbench.kernel_api import GemmProblem, Kernel, Settings
from flopbench.measure import Measurement, measure_interruptibly
from flopbench.precision import precision
from flopbench.progress import Progress
from flopbench.record import Context, build
from flopbench.results import PlanLine, Record

SEED = 100


@dataclass(frozen=True)
class GemmRequest:
    """What the user asked for; empty and None mean: choose."""

    precision: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()
    device: str = "cpu"
    n: tuple[int, ...] = ()
    m: int | None = None
    k: int | None = None
    time_s: float = gemm_plan.DEFAULT_SECONDS
    repeat: int | None = None
    rotate: bool = False
    energy: bool = False
    settings: Settings = field(default_factory=Settings)
    output: Path = Path("results")


@dataclass(frozen=True)
class Skipped:
    """A combination that did not run, and why. `n` is None if no size could."""

    precision: str
    backend: str
    kernel: str
    reason: str
    n: str | None = None
    accumulator: str = "-"


@dataclass
class GemmRun:
    """One request under way on one machine. `make` builds a fresh kernel, so that operands can rotate among several."""

    request: GemmRequest
    context: Context
    progress: Progress
    room: plan.Room
    lines: list[PlanLine]
    now: timing.Clock = timing.clock
    settle: Callable[[], None] = timing.settle
    meters: EnergyMeters | None = None
    interrupted: bool = False
    _aside_s: float = 0.0  # what generating and checking took for the last size

    def run(self, classes: Sequence[type[Kernel]]) -> Iterator[Record | Skipped]:
        """Records and what was skipped, in the order of the kernels; each kernel gets an equal part of the time that is left."""
        end = self.now() + self.request.time_s
        for place, cls in enumerate(classes):
            if self.interrupted:
                return
            left = max(0.0, end - self.now()) / (len(classes) - place)
            yield from self._kernel(cls, left)

    def _kernel(self, cls: type[Kernel], seconds: float) -> Iterator[Record | Skipped]:
        probe = cls(self.request.settings)
        skip = _skipper(cls)
        reason = probe.why_not(self.context.machine)
        if reason is not None:
            yield skip(reason)
            return
        end = self.now() + seconds
        shapes = gemm_plan.shapes(self.request.n, self.request.m, self.request.k)
        try:
            rate = self._probe(probe, shapes[0])
            with self.progress.step(f"{cls.precision}: measure the ceiling", None):
                self.context.peaks.prepare(probe)
        except NotPossible as error:
            yield skip(str(error))
            return
        found: list[float] = []
        before: Shape | None = None
        for place, shape in enumerate(shapes):
            left = end - self.now()
            reason = self._no_room(cls, shape)
            if reason is None and not self.request.n:
                reason = self._not_worth_it(shape, rate, left, found, before)
                if reason is not None:
                    self.progress.say(f"{cls.name}: no n = {shape} or larger: {reason}")
                    return
            if reason is not None:
                yield skip(reason, str(shape))
                continue
            record = self._case(cls, shape, rate, self._budget(shapes[place:], rate, left, before))
            if record is None:
                return
            yield record
            if record.verification.verdict == "FAILED" or self.interrupted:
                return
            rate = record.flop_count / min(record.times_s)
            found.append(rate)
            before = shape

    def _not_worth_it(
        self, shape: Shape, rate: float, left: float, found: Sequence[float], before: Shape | None
    ) -> str | None:
        """Why the default sweep of a kernel ends before `shape`; the first size is always measured."""
        if not found:
            return None
        if gemm_plan.on_plateau(found):
            return "the rate has reached its plateau"
        needed = gemm_plan.needed_s(shape, rate, before, self._aside_s)
        if needed > left:
            return (
                f"a run would take {units.duration(shape.flops / rate)}, with checks and repeats {units.duration(needed)}; "
                f"--time leaves {units.duration(max(0.0, left))}"
            )
        return None

    def _budget(self, shapes: Sequence[Shape], rate: float, left: float, before: Shape | None) -> float:
        """Seconds of running and checking for the first of `shapes`; at least enough for a try."""
        if self.request.n:
            return left / len(shapes)
        return gemm_plan.budget_s(shapes, rate, left, before, self._aside_s)

    def _no_room(self, cls: type[Kernel], shape: Shape) -> str | None:
        problem = self._problem(cls, shape)
        count = int(gemm_plan.buffers(shape, cls.precision, self.context.machine, self.request.rotate).value)
        kernel = cls(self.request.settings)
        needed = kernel.memory_bytes(problem) * count
        own = kernel.memory_room(self.context.comm)
        room = plan.Room(*own) if own else self.room
        if needed <= room.bytes:
            return None
        return f"needs {units.size(needed)}, but {units.size(room.bytes)} are available ({room.reason})"

    def _probe(self, kernel: Kernel, smallest: Shape) -> float:
        """Operations a second on a small product: loads libraries, compiles, and says what larger ones will take."""
        shape = Shape(*(min(size, gemm_plan.PROBE_N) for size in (smallest.m, smallest.n, smallest.k)))
        problem = GemmProblem(shape.m, shape.n, shape.k, kernel.precision, SEED)
        try:
            with self.progress.step(f"{kernel.name}: load and compile", None):
                kernel.setup(problem, self.context.comm, self.context.machine)
                kernel.reset()
                kernel.run()
            kernel.reset()
            return shape.flops / timing.timed(kernel.run, self.context.comm, self.now)
        finally:
            kernel.close()

    def _case(self, cls: type[Kernel], shape: Shape, rate: float, budget: float) -> Record | None:
        """Measure one size. None if Ctrl-C came before the first repeat was finished."""
        start = timing.utc_now()
        problem = self._problem(cls, shape)
        expected = shape.flops / rate
        lone = self.request.repeat is None and 2 * expected > budget
        least = gemm_measure.LEAST_ON_GPU_S if cls.device == "cuda" else gemm_measure.LEAST_MEASURED_S
        if self.meters and self.meters.present:
            least = SHORTEST_S
        rule = Rule(budget, self.request.repeat, warm_up=not lone, least_s=least)
        copies = gemm_plan.buffers(shape, cls.precision, self.context.machine, self.request.rotate)
        kernels = [cls(self.request.settings) for _ in range(int(copies.value))]
        seen = Measurement()
        warm: list[int] = []

        def work() -> None:
            begin = self.now()
            for number, kernel in enumerate(kernels):
                with self.progress.step("generate", None):
                    kernel.setup(replace(problem, seed=SEED + number), self.context.comm, self.context.machine)
            self._aside_s = self.now() - begin
            comm, threads = self.context.comm, self.context.threads
            warm.append(
                measure_gemm(
                    seen,
                    kernels,
                    problem,
                    comm,
                    rule,
                    self.progress,
                    threads,
                    expected,
                    self.now,
                    self.settle,
                    self.meters.region if self.meters else None,
                )
            )
            self._aside_s += seen.checking_s

        try:
            with self.meters.running() if self.meters else nullcontext():
                measure_interruptibly(seen, self.context.comm, work)
            self.interrupted = seen.interrupted
            if not seen.times_s:
                return None
            lines = [*self.lines, *self._choices(shape, copies, rule, seen, warm)]
            size = results.Problem(n=shape.n, m=shape.m, k=shape.k, seed=SEED)
            energy = told(self.meters, seen.times_s, seen.passed, seen.interrupted, shape.flops, green500=False)
            return build(self.context, kernels[0], size, shape.flops, seen, start, lines, **energy)
        finally:
            if not seen.interrupted:  # else a thread may still be computing in there
                for kernel in kernels:
                    kernel.close()

    def _choices(
        self, shape: Shape, copies: PlanLine, rule: Rule, seen: Measurement, warm: Sequence[int]
    ) -> list[PlanLine]:
        asked = "as asked" if self.request.n else "default sweep, ends at the plateau or with the time"
        if rule.warm_up:
            warm_text = "until the rate was steady, or a quarter of the time was used"
        else:
            warm_text = "one run takes longer than half of the time there is; raise --time"
        if self.request.repeat is not None:
            repeats = "as asked"
        elif not gemm_measure.known(seen.times_s):
            repeats = "until the time was used; the median is not known to 2 %"
        elif rule.enough(seen.times_s):
            repeats = "until the 95 % interval of the median was under 2 %"
        else:
            repeats = "until the time was used; the 95 % interval of the median is under 2 %"
        return [
            PlanLine(choice="size", value=str(shape), reason=asked),
            copies,
            PlanLine(choice="warm-up", value=f"{sum(warm)} runs", reason=warm_text),
            PlanLine(choice="repeats", value=str(len(seen.times_s)), reason=repeats),
        ]

    def _problem(self, cls: type[Kernel], shape: Shape) -> GemmProblem:
        return GemmProblem(shape.m, shape.n, shape.k, cls.precision, SEED)


def _skipper(cls: type[Kernel]) -> Callable[..., Skipped]:
    return lambda reason, n=None: Skipped(
        cls.precision, cls.backend, cls.name, reason, n, cls.accumulator or precision(cls.precision).accumulator
    )
