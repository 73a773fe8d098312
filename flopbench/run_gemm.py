"""`flopbench gemm`, the whole story: machine, kernels, sweep, records. Readable top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from threadpoolctl import threadpool_limits

from flopbench import choose, plan, registry, results
from flopbench.comm import SelfComm
from flopbench.energy.measure import IDLE_S, open_meters
from flopbench.errors import EXIT_FAILED, EXIT_OK, BadInput, CannotWrite, NotPossible, UnknownName
from flopbench.gemm_run import GemmRequest, GemmRun, Skipped
from flopbench.kernel_api import Kernel
from flopbench.launcher import launched_ranks
from flopbench.machine import blas, environment
from flopbench.machine.detect import detect
from flopbench.peaks import Peaks
from flopbench.precision import PRECISIONS, precision
from flopbench.progress import Progress
from flopbench.record import Context
from flopbench.results import Record
from flopbench.run import EXIT_INTERRUPTED, room, warnings_before


class Printer(Protocol):
    """Who tells the user: the table or JSON."""

    quiet: bool  # no progress on stderr

    def result(self, record: Record, saved_to: Path | None) -> None: ...
    def skipped(self, what: Skipped) -> None: ...
    def complain(self, line: str) -> None: ...
    def end(self) -> None: ...


def run_gemm(printer: Printer, request: GemmRequest) -> int:
    """Measure what `request` asks and return the exit code; every record is written the moment it exists. Raises NotPossible."""
    if launched_ranks() > 1:
        raise BadInput(
            f"flopbench gemm runs on one process, not on {launched_ranks()} MPI ranks; start it without mpiexec"
        )
    plan.require_positive("--time", request.time_s, "seconds above 0")
    comm, machine = SelfComm(), detect()
    threads, threads_line = plan.choose_threads(request.settings.threads, machine.limits, 1)
    request = replace(request, settings=replace(request.settings, threads=threads))
    classes, missing = select(request)
    blas.load_usual()
    with threadpool_limits(threads):
        before = environment.collect(machine, extra_warnings=warnings_before(machine, threads, 1))
        context = Context(comm, machine, threads, Peaks(machine, comm, threads), before)
        job = GemmRun(request, context, Progress(quiet=printer.quiet), room(comm, machine), [threads_line])
        if request.energy:
            job.meters = open_meters(comm, machine, request.device)
            with job.progress.step("idle power", IDLE_S):
                job.meters.measure_idle()
        return carry_out(job, classes, missing, printer)


def carry_out(job: GemmRun, classes: Sequence[type[Kernel]], missing: Sequence[Skipped], printer: Printer) -> int:
    """Run the sweep, write and show what comes out, and sum it up in an exit code. Raises NotPossible if nothing could run."""
    codes = {EXIT_OK}
    skipped = list(missing)
    some = False
    for found in job.run(classes):
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        some = True
        if found.verification.verdict == "FAILED":
            codes.add(EXIT_FAILED)
        codes.add(_keep(found, job.request.output, printer))
    for what in skipped:
        printer.skipped(what)
    printer.end()
    if job.interrupted:
        return EXIT_INTERRUPTED
    if not some:
        reasons = [(f"{s.kernel or s.precision}{f' n = {s.n}' if s.n else ''}", s.reason) for s in skipped]
        raise NotPossible(f"not possible here: {choose.grouped(reasons)}")
    return EXIT_FAILED if EXIT_FAILED in codes else max(codes)


def select(request: GemmRequest) -> tuple[list[type[Kernel]], list[Skipped]]:
    """The kernels that were asked for, by precision and the kernels' own order, and precisions that have none. Raises UnknownName."""
    wanted = [precision(name).name for name in request.precision]
    classes = registry.of_routine("gemm")
    names = {cls.name for cls in classes}
    for name in request.kernel:
        if name not in names:
            raise UnknownName("gemm kernel", name, names)
    here = [cls for cls in classes if cls.device == request.device]
    backends = {cls.backend for cls in here}
    for name in request.backend:
        if name not in backends:
            raise UnknownName(f"backend for gemm on {request.device}", name, backends)
    chosen = [
        cls
        for cls in (classes if request.kernel else here)
        if (not request.kernel or cls.name in request.kernel)
        and (not wanted or cls.precision in wanted)
        and (not request.backend or cls.backend in request.backend)
    ]
    order = list(PRECISIONS)
    chosen.sort(key=lambda cls: (order.index(cls.precision), cls.user_order, cls.name))
    without = [name for name in wanted if name not in {cls.precision for cls in chosen}]
    asked = f" in {', '.join(request.backend or request.kernel)}" if request.backend or request.kernel else ""
    reason = f"no kernel for it on {request.device}{asked} is installed"
    return chosen, [Skipped(name, "-", "", reason) for name in without]


def _keep(record: Record, folder: Path, printer: Printer) -> int:
    """Write the record, show it, and only then complain if it could not be written: a measured number is never lost."""
    try:
        path = results.write(record, folder)
    except CannotWrite as error:
        printer.result(record, None)
        printer.complain(str(error))
        return error.exit_code
    printer.result(record, path)
    return EXIT_OK
