"""`flopbench hpl`, the whole story: machine, kernel, plan, runs, records. Readable top to bottom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from threadpoolctl import threadpool_limits

from flopbench import choose, job, placement, plan, results
from flopbench.energy.measure import IDLE_S, open_meters
from flopbench.errors import EXIT_FAILED, EXIT_OK, CannotWrite
from flopbench.hpl_run import Case, HplRequest, HplRun
from flopbench.kernel_api import Comm, Kernel
from flopbench.machine import blas, environment
from flopbench.machine.detect import detect
from flopbench.machine.model import Machine
from flopbench.peaks import Peaks
from flopbench.phases import PhaseClock
from flopbench.progress import Progress
from flopbench.record import Context
from flopbench.results import PlanLine, Record

EXIT_INTERRUPTED = 130


class Printer(Protocol):
    """Who tells the user: the summary, HPL's text or JSON. Only rank 0 has one."""

    quiet: bool  # no progress on stderr

    def begin(self, request: HplRequest, cases: list[Case], lines: list[PlanLine]) -> None: ...
    def result(self, record: Record, saved_to: Path | None) -> None: ...
    def complain(self, line: str) -> None: ...
    def end(self, hint: str | None) -> None: ...


def run_hpl(
    comm: Comm,
    printer: Printer | None,
    request: HplRequest,
    kernel: str | None = None,
    backend: str | None = None,
    device: str = "cpu",
) -> int:
    """Do what `request` asks on all ranks of `comm` and return the exit code; every record is written the moment it exists."""
    job.prepare()
    machine = detect()
    placed = placement.placement(comm, machine)
    threads, threads_line = plan.choose_threads(
        request.settings.threads, machine.limits, placement.sharing(placed, comm.rank)
    )
    phases = PhaseClock()
    settings = replace(request.settings, threads=threads, observer=phases)
    chosen, why = choose.kernel("lu", machine, settings, kernel, backend, device, comm.size)
    progress = Progress(quiet=printer is None or printer.quiet)
    lines = [PlanLine(choice="kernel", value=chosen.name, reason=why), threads_line]
    complaints = [*warnings_before(machine, threads, comm.size), *placement.warnings(placed, threads)]
    if comm.size > 1 and printer is not None:
        for complaint in placement.warnings(placed, threads):
            printer.complain(f"warning: {complaint}")
    blas.load_usual()
    with threadpool_limits(threads):
        before = environment.collect(machine, extra_warnings=complaints)
        peaks = Peaks(machine, comm, threads)
        with progress.step("measure the ceiling", None):
            peaks.prepare(chosen)
        context = Context(comm, machine, threads, peaks, before)
        work = HplRun(request, chosen, context, progress, room(comm, machine, chosen), lines, phases=phases)
        if request.energy:
            work.meters = open_meters(comm, machine, chosen.device)
            with progress.step("idle power", IDLE_S):
                work.meters.measure_idle()
        return _run_cases(work, printer)


def _run_cases(work: HplRun, printer: Printer | None) -> int:
    cases = work.cases()
    if printer:
        printer.begin(work.request, cases, work.lines)
    codes = {EXIT_OK}
    for case in cases:
        verdict, record = work.run(case)
        if verdict == "FAILED":
            codes.add(EXIT_FAILED)
        if record is not None and printer is not None:
            codes.add(_keep(record, work.request.output, printer))
        if work.interrupted:
            codes = {EXIT_INTERRUPTED}
            break
    if printer:
        printer.end(work.hint)
    return EXIT_INTERRUPTED if EXIT_INTERRUPTED in codes else EXIT_FAILED if EXIT_FAILED in codes else max(codes)


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


def room(comm: Comm, machine: Machine, kernel: Kernel | None = None) -> plan.Room:
    """The memory that all ranks together may take: per host what is available within its cgroup, times the hosts; or `kernel`'s own."""
    own = kernel.memory_room(comm) if kernel else None
    if own is not None:
        return plan.Room(min(comm.bcast(comm.gather(own[0]))) * comm.size, own[1])
    memory = machine.memory
    available, reason = memory.available_bytes, "memory available now"
    if memory.cgroup_available_bytes is not None and memory.cgroup_available_bytes < available:
        available, reason = memory.cgroup_available_bytes, "left in this control group"
    per_host: dict[str, int] = {}
    for host, size in comm.bcast(comm.gather((machine.hostname, available))):
        per_host[host] = min(size, per_host.get(host, size))
    if len(per_host) > 1:
        reason += f" on each of {len(per_host)} hosts"
    return plan.Room(min(per_host.values()) * len(per_host), reason)


def warnings_before(machine: Machine, threads: int, ranks: int, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What is known before a run to make its rate less than it could be, beyond the state of the machine."""
    found = []
    if environ.get("OPENBLAS_CORETYPE"):
        found.append(
            f"OPENBLAS_CORETYPE={environ['OPENBLAS_CORETYPE']} makes OpenBLAS take the code of that processor, whatever this one is; "
            "unset it to measure the machine"
        )
    if ranks == 1 and threads < machine.limits.usable_cores:
        found.append(f"{threads} thread(s) on {machine.limits.usable_cores} usable cores: the rest is idle")
    if threads * ranks > machine.limits.usable_cores and ranks == 1:
        found.append(f"{threads} threads on {machine.limits.usable_cores} usable cores: they take turns")
    return found
