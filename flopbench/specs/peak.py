"""The arithmetic of Rpeak: what one processor or GPU contributes to a node, and the sum over a system, with its formula in words.

    Rpeak = nodes x (sockets x cores x FLOP/cycle/core x clock  +  GPUs x multiprocessors x FLOP/cycle/multiprocessor x clock)

TOP500 counts additions and multiplications of the unit that solves the problem, at the clock that the vendor advertises (footnote and
FAQ of top500.org): base clock for processors, for GPUs the clock of the data sheet's rate, FP64 tensor units where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flopbench.errors import BadInput
from flopbench.precision import PRECISIONS, precision
from flopbench.specs.schema import CpuArithmetic, CpuModel, GpuArithmetic, GpuModel, GpuPeak, Microarchitecture
from flopbench.specs.table import Table
from flopbench.units import rate

#: "top500": base clock for processors, the data sheet's clock for GPUs. A number is a clock in GHz.
Clock = str | float
CLOCKS = ("top500", "base", "boost")
UNITS = ("best", "vector", "tensor")

_Row = TypeVar("_Row", CpuArithmetic, GpuArithmetic, GpuPeak)


@dataclass(frozen=True)
class Part:
    """What one kind of processor adds to one node.

    flops       FLOP/s (OP/s for integers) of the node's share
    formula     the product in words, without its value
    per_ghz     flops at 1 GHz, for asking which clock a published figure took; None if the rate is taken as printed
    """

    what: str
    flops: float
    formula: str
    convention: str
    spec: str
    source: str
    per_ghz: float | None


@dataclass(frozen=True)
class SystemPeak:
    """Rpeak of a system with everything that it was computed from."""

    flops: float
    unit: str
    precision: str
    nodes: int
    parts: tuple[Part, ...]

    @property
    def formula(self) -> str:
        """The whole product with its numbers and its value."""
        inner = " + ".join(part.formula for part in self.parts)
        text = inner if self.nodes == 1 else f"{self.nodes} nodes x ({inner})"
        return f"{text} = {rate(self.flops, self.unit)}"

    @property
    def convention(self) -> str:
        """Clock and unit taken, part by part."""
        return "; ".join(part.convention for part in self.parts)

    @property
    def spec(self) -> str:
        """The entries of the table that were used."""
        return " + ".join(part.spec for part in self.parts)

    @property
    def source(self) -> str:
        """The documents behind them."""
        return "; ".join(part.source for part in self.parts)


def choose(rows: Iterable[_Row], name: str, unit: str = "best") -> _Row | None:
    """The row of precision `name` that a peak counts: the accumulator that goes with the precision first, then the fastest."""
    fitting = [r for r in rows if r.precision == name and unit in ("best", r.unit)]
    return max(fitting, key=lambda r: (r.accumulator == PRECISIONS[name].accumulator, _speed(r)), default=None)


def _speed(row: CpuArithmetic | GpuArithmetic | GpuPeak) -> float:
    if isinstance(row, CpuArithmetic):
        return row.flop_per_cycle_per_core
    return row.flop_per_cycle_per_multiprocessor if isinstance(row, GpuArithmetic) else row.flops


def check_clock(clock: Clock) -> None:
    """Raises BadInput if `clock` is none of the conventions and no clock in GHz."""
    if isinstance(clock, str):
        if clock not in CLOCKS:
            raise BadInput(f"clock {clock!r}: choose {', '.join(CLOCKS)}, or a clock in GHz such as 2.4")
    elif not 0.05 <= clock <= 20:
        raise BadInput(f"clock {clock:g} GHz: must be between 0.05 and 20 GHz")


def cpu_ghz(cpu: CpuModel, clock: Clock) -> tuple[float, str] | str:
    """The clock of a table's processor by convention and its name, or why there is none."""
    if not isinstance(clock, str):
        return clock, "clock as given"
    if clock != "boost":
        return cpu.base_ghz, "base clock" if clock == "base" else "base clock (TOP500's convention)"
    if cpu.boost_ghz is None:
        return f"the table has no boost clock for {cpu.name}"
    return cpu.boost_ghz, "boost clock, which the vendor gives for one core"


def cpu_part(
    table: Table,
    micro: Microarchitecture,
    row: CpuArithmetic,
    name: str,
    *,
    cores: float,
    cores_text: str,
    ghz: float,
    clock_text: str,
    spec: str,
    clock_source: str,
    remark: str = "",
    flop_per_cycle: float | None = None,
) -> Part:
    """The share of `cores` physical cores in precision `name`. `flop_per_cycle` overrides the table's and is named as such."""
    per_cycle = row.flop_per_cycle_per_core if flop_per_cycle is None else flop_per_cycle
    op = "OP" if PRECISIONS[name].unit == "OP/s" else "FLOP"
    unit = f"{row.unit} unit ({row.isa})" if flop_per_cycle is None else f"{op}/cycle as given"
    sums = _sums(name, row.accumulator) if flop_per_cycle is None else ""
    source = table.source_text(row.source) if flop_per_cycle is None else "FLOP/cycle as given"
    return Part(
        what="cpu",
        flops=cores * per_cycle * ghz * 1e9,
        formula=f"{cores_text} x {per_cycle:g} {op}/cycle x {ghz:g} GHz",
        convention=f"{name} {unit}{sums}, {clock_text} {ghz:g} GHz, physical cores{remark}",
        spec=f"{spec} ({micro.name})",
        source=f"{source}; {clock_source}" if clock_source else source,
        per_ghz=cores * per_cycle * 1e9,
    )


def gpu_part(
    table: Table,
    gpu: GpuModel,
    name: str,
    *,
    count: int,
    clock: Clock = "top500",
    unit: str = "best",
    multiprocessors: int | None = None,
    remark: str = "",
) -> Part | str:
    """The share of `count` GPUs, or why it is unknown. `multiprocessors` replaces the table's, where fewer are in use (MIG)."""
    architecture = table.gpu_architectures[gpu.architecture]
    peak = choose(gpu.peaks, name, unit)
    row = choose(architecture.arithmetic, name, unit if peak is None else peak.unit)
    if peak is None and row is None:
        which = "" if unit == "best" else f" on {unit} units"
        rows = [r for r in (*gpu.peaks, *architecture.arithmetic) if unit in ("best", r.unit)]
        known = [p for p in PRECISIONS if any(r.precision == p for r in rows)]
        only = f"; it has {', '.join(known)}" if known else ""
        return f"the table has no dense {name} rate{which} for {gpu.name}{only}"
    op = "OP" if PRECISIONS[name].unit == "OP/s" else "FLOP"
    kind, accumulator = (peak or row).unit, (peak or row).accumulator
    taken = _gpu_ghz(gpu, peak, clock)
    blocks = multiprocessors if multiprocessors is not None else gpu.multiprocessors
    times = f"{count} x " if count != 1 else ""
    if isinstance(taken, str) or row is None or blocks is None:
        if peak is None or clock != "top500" or multiprocessors is not None:
            return taken if isinstance(taken, str) else f"the table has no multiprocessor count for {gpu.name}"
        return Part(
            what="gpu",
            flops=count * peak.flops,
            formula=f"{times}{rate(peak.flops, PRECISIONS[name].unit)}",
            convention=f"{name} {kind} unit{_sums(name, accumulator)}, dense, as the data sheet prints it ({peak.unchecked}){remark}",
            spec=gpu.name,
            source=table.source_text(peak.source),
            per_ghz=None,
        )
    ghz, clock_text = taken
    per_cycle = row.flop_per_cycle_per_multiprocessor
    return Part(
        what="gpu",
        flops=count * blocks * per_cycle * ghz * 1e9,
        formula=f"{times}{blocks} {architecture.multiprocessor} x {per_cycle:g} {op}/cycle x {ghz:g} GHz",
        convention=f"{name} {kind} unit{_sums(name, accumulator)}, dense, {clock_text} {ghz:g} GHz{remark}",
        spec=gpu.name,
        source=f"{table.source_text(row.source)}; {table.source_text(peak.source if peak else gpu.source)}",
        per_ghz=count * blocks * per_cycle * 1e9,
    )


def _gpu_ghz(gpu: GpuModel, peak: GpuPeak | None, clock: Clock) -> tuple[float, str] | str:
    if not isinstance(clock, str):
        return clock, "clock as given"
    if clock == "base":
        return (gpu.base_ghz, "base clock") if gpu.base_ghz else f"the table has no base clock for {gpu.name}"
    if clock == "top500" and peak is not None and peak.clock_ghz is not None:
        return peak.clock_ghz, "clock of the data sheet's rate"
    return (gpu.boost_ghz, "boost clock") if gpu.boost_ghz else f"the table has no boost clock for {gpu.name}"


def _sums(name: str, accumulator: str) -> str:
    """A remark where the sums are kept in another type than usual for the precision."""
    return "" if accumulator == PRECISIONS[name].accumulator else f" with {accumulator} sums"


def total(name: str, parts: Sequence[Part], nodes: int = 1) -> SystemPeak:
    """The sum of `parts` over `nodes` equal nodes."""
    flops = nodes * sum(part.flops for part in parts)
    return SystemPeak(flops, precision(name).unit, name, nodes, tuple(parts))


def clock_that_gives(peak: SystemPeak, published_flops: float, what: str) -> float | None:
    """The clock in GHz of all parts of kind `what` with which `peak` would be `published_flops`; None if there is none."""
    per_ghz = peak.nodes * sum(part.per_ghz or 0.0 for part in peak.parts if part.what == what)
    rest = peak.nodes * sum(part.flops for part in peak.parts if part.what != what or part.per_ghz is None)
    if per_ghz == 0 or published_flops <= rest:
        return None
    return (published_flops - rest) / per_ghz
