"""What the numbers rest on, from records: the machine, the references, the choices and their reasons, the provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from flopbench.machine.model import Machine
from flopbench.report.content import Column, Section, Table
from flopbench.report.rates import accumulator_of, size_of
from flopbench.results import Record
from flopbench.units import percent, rate, si, size

_ISA_OF_INTEREST = ("sse2", "avx", "fma", "avx2", "avx512f", "avx512_fp16", "avx512_bf16", "avx512_vnni", "avx_vnni")
_ISA_OF_INTEREST += (
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
    "asimd",
    "asimdhp",
    "asimddp",
    "sve",
    "sve2",
    "i8mm",
    "bf16",
)


def machine_name(machine: Machine) -> str:
    """Host name and processor, or GPU, as a heading."""
    parts = [machine.cpu.model_name or machine.cpu.architecture]
    parts += [f"{count} x {name}" for name, count in Counter(gpu.name for gpu in machine.gpus).items()]
    return f"{machine.hostname}: {', '.join(parts)}"


def machine_table(machine: Machine) -> Table:
    """The machine in lines; what is not known is left for the notes, each with its reason."""
    cpu, limits, memory = machine.cpu, machine.limits, machine.memory
    lines: list[tuple[str, str | None]] = [
        ("Processor", cpu.model_name),
        (
            "Microarchitecture",
            cpu.microarchitecture and cpu.microarchitecture + " (a guess)" * cpu.microarchitecture_is_guess,
        ),
        ("Sockets, cores", _joined((cpu.sockets, "socket"), (cpu.cores, "core"))),
        (
            "Usable by this run",
            f"{limits.usable_cores} cores" + (f", quota {limits.quota_cpus:g} CPUs" if limits.quota_cpus else ""),
        ),
        ("Clock", _joined_text(_hertz(cpu.base_hz, "base"), _hertz(cpu.max_hz, "at most"))),
        ("Instruction sets", " ".join(flag for flag in _ISA_OF_INTEREST if flag in cpu.isa) or None),
        (
            "Caches",
            ", ".join(f"L{c.level} {c.kind} {size(c.bytes)}" for c in cpu.caches if c.kind != "instruction") or None,
        ),
        (
            "Memory",
            size(memory.total_bytes)
            + (f", limited to {size(memory.cgroup_limit_bytes)}" if memory.cgroup_limit_bytes else ""),
        ),
        *(("GPU", f"{gpu.name}" + (f", {size(gpu.memory_bytes)}" if gpu.memory_bytes else "")) for gpu in machine.gpus),
        *(
            (
                "Network",
                f"{net.name} ({net.kind})"
                + (f", {si(net.bits_per_second, 'bit/s', 3)}" if net.bits_per_second else ""),
            )
            for net in machine.network
        ),
        ("Hypervisor", machine.hypervisor),
        ("System", f"{machine.os}, {machine.kernel}, {cpu.architecture}"),
    ]
    rows = tuple((name, value) for name, value in lines if value)
    notes = tuple(f"{field}: {why}" for field, why in sorted(machine.unknown.items()))
    return Table("Machine", (Column("What"), Column("Value")), rows, notes)


def references(records: Sequence[Record]) -> Table:
    """Rpeak and ceiling per precision, with convention and source, or why there is none."""
    rows: dict[tuple[str, ...], None] = {}
    for record in records:
        if record.rpeak:
            convention = "; ".join(
                part for part in (record.rpeak.convention, record.rpeak.formula, record.rpeak.source) if part
            )
            rows[(record.precision, "Rpeak", rate(record.rpeak.flops, record.unit), convention)] = None
        else:
            rows[(record.precision, "Rpeak", "unknown", record.rpeak_reason or "no reason recorded")] = None
    best = _best_ceilings(records)
    for (precision, method), (value, unit) in best.items():
        rows[(precision, "ceiling", rate(value, unit), method)] = None
    for record in records:
        if not record.ceiling and not any(precision == record.precision for precision, _ in best):
            rows[(record.precision, "ceiling", "unknown", record.ceiling_reason or "no reason recorded")] = None
    columns = (Column("Precision"), Column("Reference"), Column("Rate", True), Column("How it was found"))
    return Table("What the rates are held against", columns, tuple(_once_each(rows)))


def _once_each(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows that differ in nothing but the precision become one, at the place of the first."""
    precisions: dict[tuple[str, ...], list[str]] = {}
    for precision, *rest in rows:
        precisions.setdefault(tuple(rest), []).append(precision)
    return [(", ".join(names), *rest) for rest, names in precisions.items()]


def environment_table(records: Sequence[Record]) -> Table:
    """Libraries, BLAS, threads and variables that the runs saw; values that differ between runs are all listed."""
    seen: dict[str, dict[str, None]] = {}

    def add(name: str, value: object) -> None:
        if value not in (None, ""):
            seen.setdefault(name, {})[str(value)] = None

    for record in records:
        env = record.environment
        add("Threads per rank", record.threads_per_rank)
        add("Ranks", record.ranks)
        add("Python", env.python)
        for name, version in sorted(env.libraries.items()):
            add(name, version)
        for library in env.blas:
            add(
                "BLAS",
                " ".join(str(library[key]) for key in ("internal_api", "version", "architecture") if library.get(key)),
            )
        for name, value in sorted(env.kernel.items()):
            add(f"{record.kernel}: {name}", value)
        for name, value in sorted(env.variables.items()):
            add(name, value)
        add("Governor", env.governor)
    rows = tuple((name, ", ".join(values)) for name, values in seen.items())
    notes = tuple(dict.fromkeys(f"warning: {text}" for record in records for text in record.environment.warnings))
    return Table("Environment", (Column("What"), Column("Value")), rows, notes)


def choices_table(records: Sequence[Record]) -> Table:
    """Every choice with its reason; those that only some of the runs made say how many."""
    made = Counter(
        choice
        for record in records
        for choice in {(line.choice, line.value, line.reason): None for line in record.plan}
    )
    rows = tuple(
        (choice, value, reason, "all" if count == len(records) else f"{count} of {len(records)}")
        for (choice, value, reason), count in made.items()
    )
    return Table("Choices", (Column("Choice"), Column("Value"), Column("Reason"), Column("Runs", True)), rows)


def provenance_table(records: Sequence[Record]) -> Table:
    """Where each number comes from: run, time, program version, hash of the record."""
    rows = tuple(
        (
            record.run_id,
            record.kernel,
            size_of(record),
            record.time_start_utc[:19],
            _version(record),
            record.content_sha256,
        )
        for record in records
    )
    columns = ("Run", "Kernel", "Size", "Started (UTC)", "flopbench", "SHA-256 of the record")
    return Table("Provenance", tuple(Column(name) for name in columns), rows)


def check_table(records: Sequence[Record]) -> Table:
    """How each result was checked, with value and threshold, and how steady its times were."""
    rows = []
    for record in records:
        found = record.verification
        value = "-" if found.value is None else f"{found.value:.3g}"
        threshold = "-" if found.threshold is None else f"{found.threshold:g}"
        spread = "-" if record.spread is None else percent(record.spread.relative_range)
        row = (
            record.kernel,
            size_of(record),
            accumulator_of(record),
            str(len(record.times_s)),
            spread,
            value,
            threshold,
        )
        rows.append((*row, f"{found.verdict}: {found.reason}"))
    columns = (
        Column("Kernel"),
        Column("Size", True),
        Column("Sums"),
        Column("Repeats", True),
        Column("Range / median", True),
        Column("Value", True),
        Column("Threshold", True),
        Column("Verdict"),
    )
    checks = dict.fromkeys(f"{record.routine}: {record.verification.check}" for record in records)
    return Table("Checks", columns, tuple(rows), tuple(checks))


def background(records: Sequence[Record]) -> tuple[Section, ...]:
    """All of the above for the records of one machine."""
    tables = (
        references(records),
        machine_table(records[0].machine),
        environment_table(records),
        choices_table(records),
        check_table(records),
        provenance_table(records),
    )
    return tuple(Section(table.title, tables=(table,)) for table in tables if table.rows)


def _best_ceilings(records: Iterable[Record]) -> dict[tuple[str, str], tuple[float, str]]:
    best: dict[tuple[str, str], tuple[float, str]] = {}
    for record in records:
        if record.ceiling:
            key = (record.precision, record.ceiling.method)
            if key not in best or record.ceiling.flops > best[key][0]:
                best[key] = (record.ceiling.flops, record.unit)
    return best


def _version(record: Record) -> str:
    commit = record.flopbench.commit
    changed = ", changed since" if record.flopbench.dirty else ""
    return record.flopbench.version + (f" ({commit[:10]}{changed})" if commit else "")


def _hertz(value: float | None, word: str) -> str:
    return f"{value / 1e9:.2f} GHz {word}" if value else ""


def _joined(*counts: tuple[int | None, str]) -> str:
    return ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)


def _joined_text(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
