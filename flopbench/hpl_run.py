"""One request of `flopbench hpl` under way: calibrate, choose, measure each case of the sweep, record it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flopbench import gpu_time, grid_choice, plan, results, timing, units
from flopbench.energy.measure import EnergyMeters, told
from flopbench.flops import lu_solve_flops
from flopbench.hpl_matrix import HPL_SEED, HplMatrix
from flopbench.kernel_api import Kernel, LuProblem, LuTuning, Settings
from flopbench.lu_model import LuModel, Measured, Network, OnGrid, Shape
from flopbench.measure import Measurement, measure, measure_interruptibly
from flopbench.phases import PhaseClock, mean_over_ranks, over_ranks
from flopbench.progress import Progress
from flopbench.record import Context, build
from flopbench.results import Phase, PlanLine, Record, Verification
from flopbench.specs.rpeak import machine_rpeak
from flopbench.verify import lu as verify_lu


@dataclass(frozen=True)
class HplRequest:
    """What the user asked for; an empty tuple or None leaves the choice to the plan. Lists are swept, HPL's loop order."""

    n: tuple[int, ...] = ()
    nb: tuple[int, ...] = ()
    grid: tuple[tuple[int, int], ...] = ()
    memory: float | None = None
    time_s: float = plan.DEFAULT_SECONDS
    repeat: int | None = None
    energy: bool = False
    seed: int = HPL_SEED
    threshold: float = verify_lu.THRESHOLD
    tuning: tuple[LuTuning, ...] = (LuTuning(),)
    settings: Settings = field(default_factory=Settings)
    output: Path = Path("results")


@dataclass(frozen=True)
class Case:
    """One point of the sweep."""

    n: int
    nb: int
    p: int
    q: int
    tuning: LuTuning
    n_reason: str


@dataclass
class HplRun:
    """One request under way: `lines` are the choices made so far, `hint` says what a full-memory run would take."""

    request: HplRequest
    kernel: Kernel
    context: Context
    progress: Progress
    room: plan.Room
    lines: list[PlanLine]
    now: timing.Clock = timing.clock
    phases: PhaseClock | None = None
    hint: str | None = None
    interrupted: bool = False
    meters: EnergyMeters | None = None
    model: plan.TimeModel = field(init=False)
    tells: bool = field(
        init=False
    )  # whether the model was fitted to runs that were long enough to say how long a large one takes

    def cases(self) -> list[Case]:
        """Every point of the sweep, outermost first: grid, N, NB, tuning (HPL 2.3, HPL_pddriver.c)."""
        request = self.request
        nbs = request.nb or (self._chosen_nb(),)
        for nb in nbs:
            plan.require_positive("--nb", nb, "1 or more")
        plan.require_positive("--time", request.time_s, "seconds above 0")
        if request.memory is not None:
            plan.check_memory_fraction(request.memory)
        grids = request.grid or (self._chosen_grid(nbs[0]),)
        for p, q in grids:
            plan.check_grid(p, q, self.context.comm.size)
            if p * q < self.context.comm.size:
                idle = self.context.comm.size - p * q
                reason = f"a {p} x {q} grid takes {p * q} of {self.context.comm.size}"
                self.lines.append(PlanLine(choice="idle ranks", value=str(idle), reason=reason))
        for n in request.n:
            self._check_n(n, nbs[0], grids[0])
        self.model = self._calibrate(nbs[0], grids[0])
        ns = [(n, "as asked") for n in request.n] or [self._chosen_n(nbs[0])]
        if request.memory is None:
            self.hint = plan.full_memory_hint(
                self.model if self.tells else None, nbs[0], self.room, max(n for n, _ in ns), self._command()
            )
        return [
            Case(n, nb, p, q, tuning, reason)
            for p, q in grids
            for n, reason in ns
            for nb in nbs
            for tuning in request.tuning
        ]

    def run(self, case: Case) -> tuple[str | None, Record | None]:
        """Measure one case: its verdict, and on rank 0 its record. Both None if Ctrl-C came before the first repeat was finished."""
        start = timing.utc_now()
        expected = self._expected(case)
        lines = [*self.lines, PlanLine(choice="N", value=str(case.n), reason=case.n_reason), self._repeats(expected)]
        problem = self._problem(case.n, case.nb, case.p, case.q, case.tuning)
        seen = Measurement()
        repeats = int(lines[-1].value)
        flop_count = lu_solve_flops(case.n)
        with self.meters.running() if self.meters else nullcontext():
            measure_interruptibly(
                seen,
                self.context.comm,
                lambda: measure(
                    seen,
                    self.kernel,
                    problem,
                    self.context.comm,
                    self.context.machine,
                    lambda outcome, tick: self._check(problem, outcome, tick),
                    repeats,
                    self.progress,
                    expected,
                    self.now,
                    self.phases,
                    flop_count,
                    self.meters.region if self.meters else None,
                ),
            )
        self.interrupted = seen.interrupted
        phases = self._phases_over_ranks(seen)
        energy = told(self.meters, seen.times_s, seen.passed, seen.interrupted, flop_count, green500=True)
        if not seen.times_s or seen.verification is None:
            return None, None
        verdict = seen.verification.verdict
        if self.context.comm.rank != 0:
            return verdict, None
        shape = results.Problem(n=case.n, nb=case.nb, p=case.p, q=case.q, seed=self.request.seed)
        tuning = _tuning(problem.tuning)
        return verdict, build(
            self.context, self.kernel, shape, flop_count, seen, start, lines, tuning=tuning, phases=phases, **energy
        )

    def _phases_over_ranks(self, seen: Measurement) -> list[Phase]:
        """Of the best repeat. Collective, unless the run was interrupted: then every rank keeps to itself."""
        if seen.interrupted or not seen.times_s or self.phases is None:
            return []
        best = seen.times_s.index(min(seen.times_s))
        return over_ranks(seen.phases[best], self.context.comm, self.context.machine.hostname)

    def _check(self, problem: LuProblem, outcome: object, tick: Callable[[float], None]) -> Verification:
        if self.request.threshold <= 0:
            return Verification(
                verdict="UNCHECKED",
                reason="the threshold is not above zero, so the residual was not computed",
                check=verify_lu.CHECK,
                value=None,
                threshold=self.request.threshold,
                ingredients={},
            )
        return verify_lu.check(problem, outcome, self.context.comm, self.context.threads, self.request.threshold, tick)

    def _problem(self, n: int, nb: int, p: int, q: int, tuning: LuTuning) -> LuProblem:
        matrix = HplMatrix(n, self.request.seed, self.context.threads)
        return LuProblem(n=n, nb=nb, matrix=matrix, p=p, q=q, seed=self.request.seed, tuning=self.kernel.tuned(tuning))

    def _expected(self, case: Case) -> float:
        """Seconds that a run of `case` should take."""
        if isinstance(self.model, OnGrid):
            return self.model.model.seconds(Shape(case.n, case.nb, case.p, case.q))
        return self.model.seconds(case.n)

    def _calibrate(self, nb: int, grid: tuple[int, int]) -> plan.TimeModel:
        """Short runs: the warm-up, and what the time of a long run is predicted from. Never counted."""
        if self.kernel.device != "cpu":
            return self._calibrate_on_gpu(nb, grid)
        largest = max(self.request.n, default=plan.CALIBRATION_N)
        self.tells = largest >= plan.CALIBRATION_N
        small, large = (min(size, largest) for size in (plan.WARM_UP_N, plan.CALIBRATION_N))
        seconds: dict[int, float] = {}
        measured: dict[int, Measured] = {}
        for n in dict.fromkeys((min(small, 500), small, large)):
            measured[n] = self._warm_up(n, nb, grid)
            seconds[n] = measured[n].seconds
        self._tell_warm_up(seconds, "not counted")
        if self.context.comm.size > 1 and measured[large].phases:
            network = Network(*grid_choice.measure_network(self.context.comm))
            return OnGrid(LuModel.fit(measured[small], measured[large], network), nb, *grid)
        if len(seconds) < 3:
            return plan.RateModel(lu_solve_flops(large) / seconds[large], 0.0)
        return plan.RateModel.fit(small, seconds[small], large, seconds[large])

    def _calibrate_on_gpu(self, nb: int, grid: tuple[int, int]) -> plan.TimeModel:
        """As _calibrate, with sizes that suit the GPU, which is known only once they run. Every rank takes what rank 0 concludes."""
        comm, fraction = self.context.comm, self.request.memory or plan.MEMORY_FRACTION
        fits, asked = self.room.largest_n(fraction), max(self.request.n, default=plan.N_LIMIT)
        full = f"{units.percent(fraction)} of the memory was full"
        peak = machine_rpeak(
            self.context.machine, self.kernel.precision, device=self.kernel.device, gpus=[self.request.settings.device_index or 0]
        )  # fmt: skip
        growth = gpu_time.Growth(
            min(fits, asked),
            "it was as asked" if asked <= fits else full,
            self.request.time_s,
            None if isinstance(peak, str) else peak.flops * grid[0] * grid[1],
        )
        seconds: dict[int, float] = {}
        n, why = comm.bcast(growth.next(seconds))
        while n is not None:
            seconds[n] = self._warm_up(n, nb, grid).seconds
            n, why = comm.bcast(growth.next(seconds))
        self._tell_warm_up(seconds, f"not counted, N doubled until {why}")
        self.tells = growth.tells(seconds)
        return comm.bcast(gpu_time.GpuTimeModel.fit(seconds, growth.peak_flops))

    def _warm_up(self, n: int, nb: int, grid: tuple[int, int]) -> Measured:
        """The best of a few uncounted runs of this size."""
        problem = self._problem(n, min(nb, n), *grid, self.request.tuning[0])
        with self.progress.step("warm-up", None):
            seconds, phases = min((self._uncounted(problem) for _ in range(plan.CALIBRATION_RUNS)), key=_time)
        return Measured(Shape(n, min(nb, n), *grid), phases, seconds)

    def _tell_warm_up(self, sizes: Iterable[int], how: str) -> None:
        reason = f"{plan.CALIBRATION_RUNS} times each, {how}; the time of the run is predicted from the best"
        self.lines.append(PlanLine(choice="warm-up", value=f"N = {', '.join(map(str, sizes))}", reason=reason))

    def _uncounted(self, problem: LuProblem) -> tuple[float, dict[str, float]]:
        """Seconds of one run that serves as warm-up, and of its phases, mean over the ranks of the grid."""
        try:
            self.kernel.setup(problem, self.context.comm, self.context.machine)
            self.kernel.reset()
            if self.phases is not None:
                self.phases.begin()
            seconds = timing.timed(self.kernel.run, self.context.comm, self.now)
            return seconds, mean_over_ranks(self.phases.end(), self.context.comm) if self.phases is not None else {}
        finally:
            self.kernel.close()

    def _chosen_grid(self, nb: int) -> tuple[int, int]:
        n = max(self.request.n, default=self.room.largest_n(self.request.memory or plan.MEMORY_FRACTION))
        grid, line = grid_choice.chosen(self.context.comm, n, nb)
        self.lines.extend([line] if line else [])
        return grid

    def _chosen_nb(self) -> int:
        line = plan.choose_nb(frozenset(self.context.machine.cpu.isa), self.kernel.device)
        self.lines.append(line)
        return int(line.value)

    def _chosen_n(self, nb: int) -> tuple[int, str]:
        if self.request.memory is not None:
            return plan.choose_n_by_memory(self.request.memory, nb, self.room)
        repeats = self.request.repeat or plan.MAX_REPEATS
        if self.kernel.device != "cpu" and not self.request.repeat:
            repeats = plan.repeats_of_full_memory(self.model, self.request.time_s, self.room)
        return plan.choose_n_by_time(self.model, self.request.time_s, repeats, nb, self.room)

    def _command(self) -> str:
        """The command line of this request as far as it says how to run, not what."""
        device = "" if self.kernel.device == "cpu" else f" --device {self.kernel.device}"
        extra = "".join(f" --option {name}={value}" for name, value in self.request.settings.extra.items())
        return f"flopbench hpl{device}{extra}"

    def _repeats(self, expected_s: float) -> PlanLine:
        if self.request.repeat:
            return PlanLine(choice="repeats", value=str(self.request.repeat), reason="as asked")
        repeats, reason = plan.choose_repeats(expected_s, self.request.time_s)
        return PlanLine(choice="repeats", value=str(repeats), reason=reason)

    def _check_n(self, n: int, nb: int, grid: tuple[int, int]) -> None:
        if not 1 <= n <= plan.N_LIMIT:
            plan.check_n(n, 0, self.room)
        needed = self.kernel.memory_bytes(self._problem(n, nb, *grid, self.request.tuning[0])) * self.context.comm.size
        plan.check_n(n, needed, self.room)


def _time(run: tuple[float, dict[str, float]]) -> float:
    return run[0]


def _tuning(tuning: LuTuning) -> dict[str, Any]:
    """The tuning as the record keeps it."""
    return {**asdict(tuning), "explicit": sorted(tuning.explicit)}
