"""Rpeak of this machine (for records) and of a system that is only described (for lists and for checking others' figures)."""

from __future__ import annotations

from collections.abc import Sequence

from flopbench.errors import BadInput, UnknownName
from flopbench.machine.model import Machine
from flopbench.precision import precision as known_precision
from flopbench.results import Rpeak
from flopbench.specs import match, names
from flopbench.specs.peak import (
    UNITS,
    Clock,
    Part,
    SystemPeak,
    check_clock,
    choose,
    cpu_ghz,
    cpu_part,
    gpu_part,
    total,
)
from flopbench.specs.schema import CpuArithmetic, Microarchitecture
from flopbench.specs.table import Table, load


def machine_rpeak(
    machine: Machine,
    precision: str,
    clock: Clock = "top500",
    device: str = "cpu",
    *,
    nodes: int = 1,
    cores: float | None = None,
    gpus: Sequence[int] | None = None,
    unit: str = "best",
    specs: Table | None = None,
) -> Rpeak | str:
    """The theoretical peak of what a run on `machine` uses, for its record; or the reason why it is unknown.

    Args:
        precision: name as in flopbench.precision
        clock: "top500" (base clock of the processor, the data sheet's clock of a GPU), "base", "boost", or GHz
        device: "cpu": the processors' cores; "cuda": the GPUs, the processors of their nodes not counted
        nodes: equal nodes in the run
        cores: physical cores in use on each node, and never more than it has, however many threads run; None takes those that this
            process may use (affinity, quota), all if unrestricted
        gpus: indices of the GPUs in use on each node; None takes all
        unit: "best", "vector" or "tensor"

    Raises:
        BadInput: an unknown precision, clock, unit or device
    """
    known_precision(precision)
    check_clock(clock)
    if unit not in UNITS or device not in ("cpu", "cuda"):
        raise BadInput(
            f"unit {unit!r}, device {device!r}: choose a unit of {', '.join(UNITS)} and a device of cpu, cuda"
        )
    specs = specs or load()
    found = match.find(machine, specs)
    if device == "cuda":
        parts = _machine_gpus(found, specs, precision, clock, unit, gpus)
    else:
        part = _machine_cpu(machine, found, specs, precision, clock, unit, cores)
        parts = part if isinstance(part, str) else [part]
    if isinstance(parts, str):
        return parts
    peak = total(precision, parts, nodes)
    return Rpeak(flops=peak.flops, convention=peak.convention, spec=peak.spec, source=peak.source, formula=peak.formula)


def _machine_cpu(
    machine: Machine, found: match.Match, specs: Table, precision: str, clock: Clock, unit: str, cores: float | None
) -> Part | str:
    cpu, micro = machine.cpu, found.microarchitecture
    if micro is None or found.is_guess:
        guess = "" if micro is None else f"; microarchitecture guess: {micro.title} ({found.microarchitecture_basis})"
        seen = f", under the hypervisor {machine.hypervisor}" if machine.hypervisor else ""
        return (
            f"Rpeak unknown: {found.cpu_reason}{seen}{guess}. Neither model nor clock can be trusted: hold the rate against the "
            "measured ceiling, or describe the machine with `flopbench rpeak --cpu NAME --sockets S`"
        )
    if cpu.efficiency_cores:
        return (
            f"Rpeak unknown: {cpu.model_name!r} has {cpu.performance_cores} performance and {cpu.efficiency_cores} efficiency "
            "cores, and the table has no clock for each kind; hold the rate against the measured ceiling"
        )
    if cpu.cores is None:
        return (
            "Rpeak unknown: the number of physical cores is unknown ("
            + machine.unknown.get("cpu.cores", "no reason given")
            + ")"
        )
    visible = [r for r in micro.arithmetic if not cpu.isa or set(r.needs) <= set(cpu.isa)]
    row, ideal = choose(visible, precision, unit), choose(micro.arithmetic, precision, unit)
    if row is None:
        return _no_row(micro, precision, unit, ideal)
    taken = _machine_ghz(machine, found, clock)
    if isinstance(taken, str):
        return f"Rpeak unknown: {taken}"
    ghz, clock_text, clock_source = taken
    number, text, remark = _cores_in_use(machine, found, cores)
    if ideal is not row and ideal is not None:
        remark += f"; {ideal.isa} is not visible on this machine and not counted"
    spec = found.cpu.name if found.cpu else cpu.model_name or "unnamed processor"
    if found.cpu:
        clock_source = specs.source_text(found.cpu.source, found.cpu.source_item)
    return cpu_part(
        specs,
        micro,
        row,
        precision,
        cores=number,
        cores_text=text,
        ghz=ghz,
        clock_text=clock_text,
        spec=spec,
        clock_source=clock_source,
        remark=remark,
    )


def _no_row(micro: Microarchitecture, precision: str, unit: str, ideal: CpuArithmetic | None) -> str:
    if ideal is not None:
        return f"Rpeak unknown: {micro.title} has {ideal.isa} for {precision}, but this machine does not show it ({', '.join(ideal.needs)})"
    which = "" if unit == "best" else f" on a {unit} unit"
    known = ", ".join(dict.fromkeys(row.precision for row in micro.arithmetic if unit in ("best", row.unit)))
    only = f"; it has {known}" if known else ""
    return f"Rpeak unknown: the table has no {precision} arithmetic{which} for {micro.title}{only}"


def _machine_ghz(machine: Machine, found: match.Match, clock: Clock) -> tuple[float, str, str] | str:
    """Clock in GHz, what it is, and where it comes from; or why there is none."""
    if found.cpu is not None:
        taken = cpu_ghz(found.cpu, clock)
        return taken if isinstance(taken, str) else (*taken, "")
    if not isinstance(clock, str):
        return clock, "clock as given", ""
    cpu = machine.cpu
    if clock == "boost":
        if cpu.max_hz:
            return cpu.max_hz / 1e9, "highest clock that the operating system reports", "operating system"
        return f"{found.cpu_reason}, and the operating system reports no highest clock"
    advertised = names.advertised_ghz(cpu.model_name or "")
    if advertised:
        return advertised, "base clock in the model name", "model name"
    if cpu.base_hz:
        return cpu.base_hz / 1e9, "base clock that the operating system reports", "operating system"
    return f"{found.cpu_reason}, and neither the model's name nor the operating system tells its base clock"


def _cores_in_use(machine: Machine, found: match.Match, cores: float | None) -> tuple[float, str, str]:
    """Physical cores that count, in words for the formula, and a remark for the convention. Hardware threads never count."""
    cpu, limits = machine.cpu, machine.limits
    here = int(cpu.cores or 0)
    remark = ""
    if found.cpu and cpu.sockets and here > cpu.sockets * found.cpu.cores:
        remark += (
            f"; the machine shows {here} cores, {cpu.sockets} x {found.cpu.name} have {cpu.sockets * found.cpu.cores}"
        )
        here = cpu.sockets * found.cpu.cores
    allowed: float = min(here, limits.usable_cores)
    if limits.quota_cpus is not None:
        allowed = min(here, limits.affinity_cores, limits.quota_cpus)
    number = allowed if cores is None else min(cores, here)
    if machine.hypervisor:
        remark += f"; virtual machine ({machine.hypervisor}), whose cores may be hardware threads of its host"
    if number < here:
        why = "in use" if cores is not None else f"that this process may use{_limit(machine)}"
        return number, f"{number:g} cores", f", {number:g} of the machine's {here} {why}{remark}"
    if cpu.sockets and cpu.sockets > 1 and here % cpu.sockets == 0:
        return here, f"{cpu.sockets} sockets x {here // cpu.sockets} cores", f", the whole node{remark}"
    return here, f"{here} cores", f", the whole node{remark}"


def _limit(machine: Machine) -> str:
    quota = machine.limits.quota_cpus
    return f" (quota of {quota:g} CPUs)" if quota is not None else " (affinity)"


def _machine_gpus(
    found: match.Match, specs: Table, precision: str, clock: Clock, unit: str, indices: Sequence[int] | None
) -> list[Part] | str:
    """One part for each kind of GPU in use."""
    used = [g for g in found.gpus if indices is None or g.gpu.index in indices]
    if not used:
        return "Rpeak unknown: no GPU is in use"
    kinds: dict[tuple[str, int | None], list[match.GpuMatch]] = {}
    for each in used:
        if each.spec is None:
            return f"Rpeak unknown: {each.reason}"
        printed = each.spec.multiprocessors
        here = each.gpu.multiprocessors
        fewer = here if here is not None and printed is not None and here != printed else None
        kinds.setdefault((each.spec.name, fewer), []).append(each)
    parts = []
    for (name, fewer), members in kinds.items():
        remark = ", the node's processors not counted"
        if fewer is not None:
            remark = f", {fewer} of the {specs.gpus[name].multiprocessors} multiprocessors that the table knows{remark}"
        part = gpu_part(
            specs,
            specs.gpus[name],
            precision,
            count=len(members),
            clock=clock,
            unit=unit,
            multiprocessors=fewer,
            remark=remark,
        )
        if isinstance(part, str):
            return f"Rpeak unknown: {part}"
        parts.append(part)
    return parts


def described_rpeak(
    precision: str = "fp64",
    *,
    cpu: str | None = None,
    sockets: int = 1,
    cores: int | None = None,
    gpu: str | None = None,
    gpus: int = 1,
    nodes: int = 1,
    clock: Clock = "top500",
    gpu_clock: Clock | None = None,
    flop_per_cycle: float | None = None,
    unit: str = "best",
    specs: Table | None = None,
) -> SystemPeak:
    """Rpeak of a system that is described instead of detected.

    Args:
        cpu: a model of the table, or any name whose core design is known if `cores` and a clock in GHz are given; None counts no
            processors
        cores: physical cores in each socket, in place of the table's
        clock, gpu_clock: see machine_rpeak; a number in `clock` holds for the processors, and for the GPUs only where `gpu_clock`
            says so or there are no processors
        flop_per_cycle: of one core, in place of the table's

    Raises:
        UnknownName: a name that is not in the table, with the near ones
        BadInput: a number out of range, or a precision, clock or unit that the hardware does not have
    """
    known_precision(precision)
    check_clock(clock)
    gpu_clock_given = gpu_clock is not None
    if gpu_clock is None:
        gpu_clock = clock if isinstance(clock, str) or cpu is None else "top500"
    check_clock(gpu_clock)
    specs = specs or load()
    if cpu is None and gpu is None:
        raise BadInput("nothing to compute: name a processor (--cpu), a GPU (--gpu) or both")
    if gpu is None and (gpus != 1 or gpu_clock_given):
        raise BadInput("--gpus and --gpu-clock describe GPUs, but no GPU is named: add --gpu NAME")
    if cpu is None and (sockets != 1 or cores is not None or flop_per_cycle is not None):
        raise BadInput(
            "--sockets, --cores and --flop-per-cycle describe processors, but no processor is named: add --cpu NAME"
        )
    for what, value in (
        ("sockets", sockets),
        ("gpus", gpus),
        ("nodes", nodes),
        ("cores", cores if cores is not None else 1),
    ):
        if value < 1:
            raise BadInput(f"{what} must be at least 1, got {value}")
    if flop_per_cycle is not None and not 0 < flop_per_cycle <= 1e6:
        raise BadInput(f"FLOP/cycle must be above 0 and at most 1e6, got {flop_per_cycle:g}")
    parts = []
    if gpu is not None:
        part = gpu_part(specs, specs.named_gpu(gpu), precision, count=gpus, clock=gpu_clock, unit=unit)
        if isinstance(part, str):
            raise BadInput(part)
        parts.append(part)
    if cpu is not None:
        parts.append(_described_cpu(specs, cpu, sockets, cores, precision, clock, flop_per_cycle, unit))
    elif gpu is not None:
        parts = [_without_cpus(parts[0])]
    return total(precision, parts, nodes)


def _described_cpu(
    specs: Table,
    name: str,
    sockets: int,
    cores: int | None,
    precision: str,
    clock: Clock,
    flop_per_cycle: float | None,
    unit: str,
) -> Part:
    model = specs.cpu(name)
    micro = specs.microarchitectures[model.microarchitecture] if model else specs.microarchitecture_by_name(name)
    if model is None and (micro is None or cores is None or isinstance(clock, str)):
        if micro is None:
            specs.named_cpu(name)
        hint = f"by its name it is {micro.title}: with --cores of each socket and a --clock in GHz it can be computed all the same"
        raise UnknownName("processor", name, specs.cpus, hint, near=names.near(name, specs.cpus))
    row = choose(micro.arithmetic, precision, unit if flop_per_cycle is None else "best")
    if row is None and flop_per_cycle is not None:
        row = choose(micro.arithmetic, "fp64")
    if row is None:
        raise BadInput(_no_row(micro, precision, unit, None).removeprefix("Rpeak unknown: "))
    taken = cpu_ghz(model, clock) if model else (float(clock), "clock as given")
    if isinstance(taken, str):
        raise BadInput(f"{taken}; give a clock in GHz")
    each = cores if cores is not None else model.cores
    plural = "s" if sockets != 1 else ""
    return cpu_part(
        specs,
        micro,
        row,
        precision,
        cores=sockets * each,
        cores_text=f"{sockets} socket{plural} x {each} cores",
        ghz=taken[0],
        clock_text=taken[1],
        spec=model.name if model else name,
        clock_source=specs.source_text(model.source, model.source_item) if model else "",
        flop_per_cycle=flop_per_cycle,
    )


def _without_cpus(part: Part) -> Part:
    """The same part, its convention saying that no processors are counted."""
    return Part(
        part.what,
        part.flops,
        part.formula,
        f"{part.convention}; no processors counted",
        part.spec,
        part.source,
        part.per_ghz,
    )
