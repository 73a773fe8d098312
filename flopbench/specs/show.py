"""Entries of the hardware table, peaks and audits as text for a terminal of 80 columns and as documents for JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import msgspec

from flopbench.specs.audit import Audit, Line
from flopbench.specs.peak import SystemPeak, choose, clock_that_gives
from flopbench.specs.provenance import gpu_sources, state_text
from flopbench.specs.schema import CpuModel, GpuArchitecture, GpuModel, GpuPeak, Microarchitecture
from flopbench.specs.table import Table
from flopbench.specs.validate import formula_flops
from flopbench.units import percent, rate

_WIDTH = 79


def labelled(pairs: Iterable[tuple[str, str]], width: int = 14) -> str:
    """Lines "label   text", the text wrapped beside its label."""
    lines = []
    for label, text in pairs:
        first = f"{label:<{width}}"
        lines += textwrap.wrap(
            text,
            _WIDTH,
            initial_indent=first,
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first.rstrip()]
    return "\n".join(lines)


def rpeak_text(peak: SystemPeak, published_flops: float | None = None) -> str:
    """Rpeak with formula, convention, specs and sources; and, against a published figure, the clocks that would give it."""
    pairs = [
        ("Rpeak", f"{rate(peak.flops, peak.unit)} ({peak.precision})"),
        ("Formula", peak.formula),
        ("Convention", peak.convention),
        ("Specs", peak.spec),
        *(("Source", part.source) for part in peak.parts),
    ]
    if published_flops is not None:
        off = peak.flops / published_flops - 1
        pairs.append(("Published", f"{rate(published_flops, peak.unit)}; computed is {off * 100:+.2f} % against it"))
        for what, ghz in _clocks(peak, published_flops).items():
            rest = ", the rest as above" if len(peak.parts) > 1 else ""
            text = (
                f"{what.upper()} clock that gives it{rest}: {ghz:.4f} GHz"
                if ghz
                else f"no {what.upper()} clock gives it"
            )
            pairs.append(("", text))
    return labelled(pairs)


def rpeak_document(peak: SystemPeak, published_flops: float | None = None) -> dict[str, Any]:
    """The same for JSON; rates in FLOP/s (OP/s for integers), clocks in GHz."""
    document: dict[str, Any] = {
        "flops": peak.flops,
        "unit": peak.unit,
        "precision": peak.precision,
        "nodes": peak.nodes,
        "formula": peak.formula,
        "convention": peak.convention,
        "spec": peak.spec,
        "source": peak.source,
        "parts": [
            {
                "what": p.what,
                "flops_per_node": p.flops,
                "formula": p.formula,
                "convention": p.convention,
                "spec": p.spec,
            }
            for p in peak.parts
        ],
    }
    if published_flops is not None:
        document["published"] = {
            "flops": published_flops,
            "computed_over_published": peak.flops / published_flops,
            "clock_ghz_that_gives_it": _clocks(peak, published_flops),
        }
    return document


def _clocks(peak: SystemPeak, published_flops: float) -> dict[str, float | None]:
    kinds = dict.fromkeys(part.what for part in peak.parts if part.per_ghz is not None)
    return {what: clock_that_gives(peak, published_flops, what) for what in kinds}


def cpu_text(table: Table, cpu: CpuModel) -> str:
    """One processor: its clocks, its core design, and its peak per precision at the base clock."""
    micro = table.microarchitectures[cpu.microarchitecture]
    boost = f", boost {cpu.boost_ghz:g} GHz (one core)" if cpu.boost_ghz else ", no boost clock in the table"
    head = [
        ("Processor", cpu.name),
        ("Core design", f"{micro.title} ({micro.name})"),
        ("Cores", f"{cpu.cores} physical cores in a socket"),
        ("Clock", f"base {cpu.base_ghz:g} GHz{boost}"),
    ]
    if cpu.note:
        head.append(("Note", cpu.note))
    rates = []
    for name in dict.fromkeys(row.precision for row in micro.arithmetic):
        row = choose(micro.arithmetic, name)
        if row is not None:
            value = cpu.cores * row.flop_per_cycle_per_core * cpu.base_ghz * 1e9
            unit = "OP/s" if name == "int8" else "FLOP/s"
            rates.append(
                (
                    name,
                    f"{rate(value, unit)} a socket at base clock, {row.flop_per_cycle_per_core:g} a cycle and core, {row.isa}",
                )
            )
    source = _sources(table, [cpu.source], cpu.source_item)
    return labelled(head + rates + source + _micro_sources(table, micro))


def microarchitecture_text(table: Table, micro: Microarchitecture) -> str:
    """One core design: operations per cycle and core, row by row."""
    head = [("Core design", f"{micro.title} ({micro.name}), {micro.architecture}")]
    if micro.note:
        head.append(("Note", micro.note))
    rows = []
    for row in micro.arithmetic:
        how = row.basis
        if row.pipes is not None and row.operations_per_lane is not None:
            how = f"{row.pipes:g} x {row.width_bits} bits x {row.operations_per_lane} operations a lane"
        rows.append(
            (
                row.precision,
                f"{row.flop_per_cycle_per_core:g} a cycle and core ({row.unit}, {row.isa}; {how}; {row.accumulator} sums)",
            )
        )
    return labelled(head + rows + _micro_sources(table, micro))


def _micro_sources(table: Table, micro: Microarchitecture) -> list[tuple[str, str]]:
    return _sources(table, dict.fromkeys(row.source for row in micro.arithmetic))


def _sources(table: Table, ids: Iterable[str], item: str = "") -> list[tuple[str, str]]:
    """Each source, and under it how it was read."""
    return [line for s in ids for line in (("Source", table.source_text(s, item)), ("", state_text(table.sources[s])))]


def gpu_text(table: Table, gpu: GpuModel) -> str:
    """One GPU: its dense rates as printed, each beside multiprocessors x FLOP/cycle x clock."""
    architecture = table.gpu_architectures[gpu.architecture]
    blocks = (
        f"{gpu.multiprocessors} {architecture.multiprocessor}"
        if gpu.multiprocessors
        else "number not printed by the vendor"
    )
    clocks = [f"{n} {v:g} GHz" for n, v in (("base", gpu.base_ghz), ("boost", gpu.boost_ghz)) if v]
    head = [
        ("GPU", gpu.name + (f" ({gpu.devices} GPUs)" if gpu.devices > 1 else "")),
        ("Architecture", f"{architecture.title} ({architecture.name})"),
        ("Blocks", blocks),
        ("Clock", ", ".join(clocks) or "none printed by the vendor"),
        ("Memory", f"{gpu.memory_gb:g} GB, {gpu.memory_bandwidth_gb_per_s:g} GB/s"),
        ("Power", f"{gpu.tdp_w:g} W" if gpu.tdp_w else "not in the table"),
    ]
    if gpu.note:
        head.append(("Note", gpu.note))
    rows = [(f"{p.precision} {p.unit}", _peak_text(architecture, gpu, p)) for p in gpu.peaks]
    sources = gpu_sources(gpu) | dict.fromkeys(a.source for a in architecture.arithmetic)
    return labelled(head + rows + _sources(table, sources))


def _peak_text(architecture: GpuArchitecture, gpu: GpuModel, peak: GpuPeak) -> str:
    unit = "OP/s" if peak.dense_tops is not None else "FLOP/s"
    expected = formula_flops(architecture, gpu, peak)
    check = (
        f"formula {rate(expected, unit)} at {peak.clock_ghz:g} GHz" if expected else f"not checked: {peak.unchecked}"
    )
    printed = "" if peak.printed == "dense" else f", {peak.printed}"
    return f"{rate(peak.flops, unit)} dense{printed} ({peak.accumulator} sums; {check})"


def entry_text(table: Table, name: str) -> str | None:
    """The entry called `name`, of whatever kind, as text; None if there is none."""
    if (cpu := table.cpu(name)) is not None:
        return cpu_text(table, cpu)
    if (gpu := table.gpu(name)) is not None:
        return gpu_text(table, gpu)
    micro = table.microarchitectures.get(name)
    return microarchitecture_text(table, micro) if micro else None


def entry_document(table: Table, name: str) -> dict[str, Any] | None:
    """The entry called `name` as the table holds it, with its kind; None if there is none."""
    found: list[tuple[str, Any]] = [
        ("cpu", table.cpu(name)),
        ("gpu", table.gpu(name)),
        ("microarchitecture", table.microarchitectures.get(name)),
    ]
    return next(({"kind": kind, **msgspec.to_builtins(entry)} for kind, entry in found if entry is not None), None)


def audit_summary(result: Audit) -> str:
    """What came out, in one paragraph."""
    counts = result.counts
    share = percent(result.share) if result.share is not None else "none"
    return labelled(
        [
            ("Systems", f"{len(result.lines)}, of which {counts['accelerator']} with accelerators are not compared"),
            ("Reproduced", f"{counts['agrees']} of {result.compared} within 0.5 %: {share}"),
            (
                "The rest",
                ", ".join(f"{counts[o]} {o}" for o in ("differs", "unknown CPU", "unreadable") if counts[o]) or "none",
            ),
        ]
    )


def audit_line(line: Line) -> str:
    """One system that was not reproduced."""
    system = line.system
    off = f"{line.relative * 100:+.1f} %" if line.relative is not None else line.outcome
    name = system.name or system.computer
    return labelled([(f"{system.rank:>4} {off:>8}", f"{name[:60]}; {system.processor}: {line.cause}")])


def audit_document(result: Audit) -> dict[str, Any]:
    """All of an audit; rates in FLOP/s."""
    return {
        "systems": len(result.lines),
        "compared": result.compared,
        "counts": dict(result.counts),
        "share_within_half_percent": result.share,
        "not_reproduced": [
            {
                "rank": line.system.rank,
                "name": line.system.name,
                "computer": line.system.computer,
                "processor": line.system.processor,
                "outcome": line.outcome,
                "published_flops": line.system.rpeak_flops,
                "computed_flops": line.computed_flops,
                "cause": line.cause,
            }
            for line in result.lines
            if line.outcome not in ("agrees", "accelerator")
        ],
    }
