"""A machine, what it could reach and its kernels, as lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterable

from flopbench import units
from flopbench.info import Info, Meters, Rates
from flopbench.kernel_list import KernelRow
from flopbench.machine.model import Cpu, Gpu, Machine, Network
from flopbench.report.summary import wrapped

#: The flags that decide how fast a processor multiplies; the rest is in the JSON.
_ARITHMETIC = (
    "sse2", "avx", "fma4", "fma", "f16c", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_int8", "amx_bf16", "amx_fp16", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme", "altivec", "vsx",
)  # fmt: skip


def info_lines(info: Info) -> list[str]:
    """Everything, in five parts."""
    able = sum(row.why_not is None for row in info.kernels)
    return [
        "Machine",
        *_lines(_machine(info.machine)),
        *_lines([("BLAS", _blas(info)), *(("warning", text) for text in info.environment.warnings)]),
        "Hardware table",
        *_lines((spec.what, _spec(spec)) for spec in info.specs),
        "Rates",
        *_rates(info.rates),
        "Power meters",
        *_lines((one.kind, _meters(one)) for one in info.meters),
        "Kernels",
        *wrapped(
            "", f"{able} of {len(info.kernels)} can run here; `flopbench kernels` lists them all, with the reasons"
        ),
    ]


def kernel_lines(rows: Iterable[KernelRow]) -> list[str]:
    """One entry a kernel: its name and what it is, or why it cannot run here."""
    lines = []
    for row in rows:
        kind = f"{row.device}, " if row.device else ""
        ranks = "any number of ranks, " if row.distributed else ""
        lines.append(f"{row.name}  ({kind}{ranks}{row.package})")
        lines += wrapped("runs", row.summary) if row.why_not is None else wrapped("cannot", row.why_not)
        for name, values in row.options.items():
            lines += wrapped("--option", f"{name}={'|'.join(values)}")
    return lines


def _lines(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [line for label, text in rows for line in wrapped(label, text)]


def _machine(machine: Machine) -> list[tuple[str, str]]:
    cpu, memory = machine.cpu, machine.memory
    place = [machine.os, machine.kernel]
    if machine.hypervisor:
        place.append(f"virtual machine under {machine.hypervisor}")
    elif "hypervisor" in machine.unknown:
        place.append(f"hypervisor unknown: {machine.unknown['hypervisor']}")
    if machine.container:
        place.append(f"container: {machine.container}")
    left = f"{units.size(memory.total_bytes)}, {units.size(memory.available_bytes)} available"
    if memory.cgroup_limit_bytes is not None:
        left += (
            f"; the control group allows {units.size(memory.cgroup_limit_bytes)}, "
            f"{units.size(memory.cgroup_available_bytes or 0)} of it left"
        )
    rows = [
        ("host", f"{machine.hostname}; {'; '.join(place)}"),
        ("CPU", _or_reason(cpu.model_name, machine, "cpu.model_name")),
        ("design", _design(cpu, machine)),
        ("cores", _cores(cpu, machine)),
        ("clock", _clock(cpu, machine)),
        ("may use", _limits(machine)),
        ("ISA", f"{cpu.architecture}: {' '.join(f for f in _ARITHMETIC if f in cpu.isa) or 'no flag that is known'}"),
        ("caches", _caches(cpu) or machine.unknown.get("cpu.caches", "unknown")),
        ("memory", left),
    ]
    rows += [(f"GPU {gpu.index}", _gpu(gpu)) for gpu in machine.gpus]
    rows += [("GPUs" if key == "gpus" else key, why) for key, why in machine.unknown.items() if key.startswith("gpus")]
    rows += [("network", _network(network, machine)) for network in machine.network]
    if not machine.network:
        rows.append(("network", machine.unknown["network"]))
    if machine.job:
        rows.append(("job", ", ".join(f"{key} {value}" for key, value in machine.job.items())))
    return [*rows, *(("note", text) for text in machine.notes)]


def _or_reason(value: str | None, machine: Machine, field: str) -> str:
    return value or f"unknown: {machine.unknown.get(field, 'no reason given')}"


def _design(cpu: Cpu, machine: Machine) -> str:
    reason = machine.unknown.get("cpu.microarchitecture", "")
    if cpu.microarchitecture is None:
        return f"unknown: {reason}"
    return f"{cpu.microarchitecture}, a guess: {reason}" if cpu.microarchitecture_is_guess else cpu.microarchitecture


def _cores(cpu: Cpu, machine: Machine) -> str:
    text = _or_reason(str(cpu.cores) if cpu.cores else None, machine, "cpu.cores")
    if cpu.performance_cores:
        text += f" ({cpu.performance_cores} performance, {cpu.efficiency_cores} efficiency)"
    for value, word in ((cpu.sockets, "socket"), (cpu.numa_nodes, "memory node"), (cpu.threads_per_core, "thread")):
        if value:
            text += f", {value} {word}{'s' if value > 1 else ''}"
    return f"{text} per core" if cpu.threads_per_core else text


def _clock(cpu: Cpu, machine: Machine) -> str:
    parts = []
    for word, value, field in (("base", cpu.base_hz, "cpu.base_hz"), ("at most", cpu.max_hz, "cpu.max_hz")):
        parts.append(f"{word} {value / 1e9:.2f} GHz" if value else f"{word} unknown: {machine.unknown.get(field, '')}")
    return "; ".join(parts)


def _limits(machine: Machine) -> str:
    limits = machine.limits
    text = f"{limits.usable_cores} cores; affinity: {limits.affinity_cpus} hardware threads of {limits.affinity_cores} cores"
    return f"{text}; quota: {limits.quota_cpus:g} CPUs" if limits.quota_cpus is not None else text


def _caches(cpu: Cpu) -> str:
    marks = {"data": "d", "instruction": "i", "unified": ""}
    return ", ".join(
        f"L{c.level}{marks.get(c.kind, '')} {units.size(c.bytes)}" + (f" x {c.instances}" if c.instances else "")
        for c in cpu.caches
    )


def _gpu(gpu: Gpu) -> str:
    parts = [gpu.name]
    if gpu.memory_bytes:
        parts.append(units.size(gpu.memory_bytes))
    if gpu.multiprocessors:
        parts.append(f"{gpu.multiprocessors} multiprocessors")
    if gpu.max_sm_hz:
        parts.append(f"at most {gpu.max_sm_hz / 1e9:.2f} GHz")
    if gpu.power_limit_w:
        parts.append(f"limit {gpu.power_limit_w:.0f} W")
    if gpu.driver:
        parts.append(f"driver {gpu.driver}")
    if gpu.mig:
        parts.append(f"divided by MIG into {', '.join(device.name for device in gpu.mig_devices) or 'nothing'}")
    return ", ".join(parts)


def _network(network: Network, machine: Machine) -> str:
    if network.bits_per_second is None:
        reason = machine.unknown.get(f"network.{network.name}", "")
        return f"{network.name}: {network.kind}, speed unknown: {reason}"
    return f"{network.name}: {network.kind}, {network.bits_per_second / 1e9:g} Gbit/s"


def _blas(info: Info) -> str:
    found = [entry for entry in info.environment.blas if entry.get("user_api") == "blas"]
    texts = [
        f"{entry.get('internal_api')} {entry.get('version')} ({entry.get('architecture', 'architecture unknown')}, "
        f"{entry.get('num_threads')} threads, {entry.get('library')})"
        for entry in found
    ]
    return "; ".join(texts) or "none loaded"


def _spec(spec: object) -> str:
    name, reason = getattr(spec, "name", None), getattr(spec, "reason", "")
    design, guess = getattr(spec, "microarchitecture", None), getattr(spec, "microarchitecture_is_guess", False)
    text = name or f"not found: {reason}"
    return f"{text}; {'a guess: ' if guess else ''}{design}" if design else text


def _meters(found: Meters) -> str:
    return "; ".join(f"{one.name} ({one.cover}, {one.quantity})" for one in found.meters) or f"none: {found.why_not}"


def _rates(rows: list[Rates]) -> list[str]:
    """A row for each precision; every reason once, below."""
    lines = [f"  {'device':<7}{'precision':<11}{'Rpeak':>15}{'ceiling':>15}{'ceiling / Rpeak':>18}"]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        share = units.percent(row.ceiling.flops / row.rpeak.flops) if row.ceiling and row.rpeak else ""
        cells = [units.rate(found.flops, row.unit) if found else "unknown" for found in (row.rpeak, row.ceiling)]
        lines.append(f"  {row.device:<7}{row.precision:<11}{cells[0]:>15}{cells[1]:>15}{share:>18}")
        for text in (
            f"Rpeak {row.rpeak.convention}: {row.rpeak.formula} ({row.rpeak.spec}; {row.rpeak.source})"
            if row.rpeak
            else None,
            row.rpeak_reason,
            f"ceiling {row.ceiling.method}" if row.ceiling else None,
            f"ceiling: {row.ceiling_reason}" if row.ceiling_reason else None,
        ):
            if text:
                reasons.setdefault(text, []).append(row.precision)
    for text, precisions in reasons.items():
        lines += wrapped(",".join(dict.fromkeys(precisions)) if len(precisions) < 3 else "", text)
    return lines
