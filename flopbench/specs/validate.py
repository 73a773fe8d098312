"""What must hold in the hardware table beyond its types: sources, references, arithmetic, ratios. Returns findings, raises nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flopbench.precision import ACCUMULATOR_ROUNDOFF, PRECISIONS
from flopbench.specs import names
from flopbench.specs.schema import OPERAND_BITS, CpuArithmetic, GpuArchitecture, GpuModel, GpuPeak
from flopbench.specs.table import Table

#: A data sheet rounds to two or three digits: 7 TFLOPS for 7.07. Beyond this a rate and its formula disagree.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Finding:
    """One fault: the entry, and what is wrong with it."""

    entry: str
    fault: str

    def __str__(self) -> str:
        return f"{self.entry}: {self.fault}"


def findings(table: Table) -> list[Finding]:
    """Every fault of the table, in the order of its entries."""
    return [
        Finding(entry, fault)
        for check in (_sources, _microarchitectures, _cpus, _gpu_architectures, _gpus, _twins)
        for entry, fault in check(table)
    ]


def formula_flops(architecture: GpuArchitecture, gpu: GpuModel, peak: GpuPeak) -> float | None:
    """multiprocessors x FLOP/cycle/multiprocessor x clock of a data-sheet rate, in FLOP/s; None if one of them is not printed."""
    per_cycle = next(
        (
            a.flop_per_cycle_per_multiprocessor
            for a in architecture.arithmetic
            if (a.precision, a.unit, a.accumulator) == (peak.precision, peak.unit, peak.accumulator)
        ),
        None,
    )
    if per_cycle is None or gpu.multiprocessors is None or peak.clock_ghz is None:
        return None
    return gpu.multiprocessors * per_cycle * peak.clock_ghz * 1e9


def _sources(table: Table) -> Iterator[tuple[str, str]]:
    for source in table.sources.values():
        if not source.url.startswith("https://"):
            yield source.id, f"url {source.url!r} is no https address"
        if not source.title or not source.publisher:
            yield source.id, "a source needs a title and a publisher"
    for entry, source_id, item in _references(table):
        if source_id not in table.sources:
            yield entry, f"source {source_id!r} is not in the list of sources"
        elif "{item}" in table.sources[source_id].url and not item:
            yield entry, f"source {source_id!r} has a page for each product: give source_item"


def _references(table: Table) -> Iterator[tuple[str, str, str]]:
    for micro in table.microarchitectures.values():
        yield from ((f"{micro.name} {row.precision}", row.source, "") for row in micro.arithmetic)
    for cpu in table.cpus.values():
        yield cpu.name, cpu.source, cpu.source_item
    for architecture in table.gpu_architectures.values():
        yield from ((f"{architecture.name} {row.precision}", row.source, "") for row in architecture.arithmetic)
    for gpu in table.gpus.values():
        yield gpu.name, gpu.source, ""
        if gpu.clock_source or gpu.base_ghz or gpu.boost_ghz:
            yield f"{gpu.name} clocks", gpu.clock_source, ""
        yield from ((f"{gpu.name} {peak.precision}", peak.source, "") for peak in gpu.peaks)


def _microarchitectures(table: Table) -> Iterator[tuple[str, str]]:
    for micro in table.microarchitectures.values():
        for pattern in micro.name_patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                yield micro.name, f"name pattern {pattern!r}: {error}"
        for row in micro.arithmetic:
            entry = f"{micro.name} {row.precision} {row.isa}"
            yield from (
                (entry, fault) for fault in _row_faults(row.precision, row.accumulator, row.flop_per_cycle_per_core)
            )
            yield from ((entry, fault) for fault in _product_faults(row))


def _row_faults(precision: str, accumulator: str, value: float) -> Iterator[str]:
    if precision not in PRECISIONS:
        yield f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}"
    if accumulator not in ACCUMULATOR_ROUNDOFF:
        yield f"unknown accumulator {accumulator!r}; known: {', '.join(ACCUMULATOR_ROUNDOFF)}"
    if not value > 0:
        yield f"must be positive, got {value}"


def _product_faults(row: CpuArithmetic) -> Iterator[str]:
    parts = (row.pipes, row.width_bits, row.operations_per_lane)
    if row.pipes is None or row.width_bits is None or row.operations_per_lane is None:
        if any(part is not None for part in parts):
            yield "pipes, width_bits and operations_per_lane stand together or not at all"
        elif not row.basis:
            yield "neither pipes x width nor a basis in words: where does the number come from?"
        return
    lanes = row.width_bits / OPERAND_BITS.get(row.precision, row.width_bits)
    expected = row.pipes * lanes * row.operations_per_lane
    if expected != row.flop_per_cycle_per_core:
        yield (
            f"flop_per_cycle_per_core is {row.flop_per_cycle_per_core:g}, but {row.pipes:g} pipes x {lanes:g} lanes "
            f"x {row.operations_per_lane} operations = {expected:g}"
        )


def _cpus(table: Table) -> Iterator[tuple[str, str]]:
    for cpu in table.cpus.values():
        if cpu.microarchitecture not in table.microarchitectures:
            yield cpu.name, f"unknown microarchitecture {cpu.microarchitecture!r}"
        if cpu.cores < 1:
            yield cpu.name, f"cores must be at least 1, got {cpu.cores}"
        if not 0.1 < cpu.base_ghz < 10:
            yield cpu.name, f"base_ghz {cpu.base_ghz:g} is no clock in GHz"
        if cpu.boost_ghz is not None and not cpu.base_ghz <= cpu.boost_ghz < 10:
            yield cpu.name, f"boost_ghz {cpu.boost_ghz:g} is below base_ghz {cpu.base_ghz:g}, or no clock in GHz"


def _gpu_architectures(table: Table) -> Iterator[tuple[str, str]]:
    for architecture in table.gpu_architectures.values():
        for row in architecture.arithmetic:
            entry = f"{architecture.name} {row.precision} {row.unit}"
            value = row.flop_per_cycle_per_multiprocessor
            yield from ((entry, fault) for fault in _row_faults(row.precision, row.accumulator, value))
        tensor = [
            (r.precision, r.accumulator, r.flop_per_cycle_per_multiprocessor)
            for r in architecture.arithmetic
            if r.unit == "tensor"
        ]
        yield from (
            (architecture.name, fault) for fault in _ratio_faults(tensor, architecture.ratio_exception, tolerance=0.0)
        )


def _ratio_faults(rows: list[tuple[str, str, float]], exception: str, tolerance: float) -> Iterator[str]:
    """Tensor units double their rate when the operand halves: FP16 = BF16 = 2 x TF32, FP8 = INT8 = 2 x FP16. A sparse rate breaks it."""
    fp32_sums = {p: value for p, accumulator, value in rows if accumulator != "float16"}
    fastest = dict(fp32_sums)
    for p, _, value in rows:
        fastest[p] = max(value, fastest.get(p, 0.0))
    pairs = [
        ("fp16", "tf32", 2.0, fp32_sums),
        ("bf16", "fp16", 1.0, fp32_sums),
        ("fp8", "fp16", 2.0, fp32_sums),
        ("int8", "fp16", 2.0, fastest),
    ]
    for upper, lower, ratio, values in pairs:
        if values.get(upper, 0) > 0 and values.get(lower, 0) > 0 and not exception:
            found = values[upper] / values[lower]
            if abs(found / ratio - 1) > tolerance:
                yield (
                    f"{upper} is {found:.3g} x {lower} on the tensor units, expected {ratio:g} x: is one of them a sparse rate? "
                    "If the hardware is so, say why in ratio_exception"
                )


def _gpus(table: Table) -> Iterator[tuple[str, str]]:
    for gpu in table.gpus.values():
        architecture = table.gpu_architectures.get(gpu.architecture)
        if architecture is None:
            yield gpu.name, f"unknown architecture {gpu.architecture!r}"
            continue
        if not gpu.peaks:
            yield gpu.name, "no peak at all"
        if gpu.base_ghz and gpu.boost_ghz and gpu.base_ghz > gpu.boost_ghz:
            yield gpu.name, "base_ghz is above boost_ghz"
        for peak in gpu.peaks:
            entry = f"{gpu.name} {peak.precision} {peak.unit}"
            yield from ((entry, fault) for fault in _peak_faults(architecture, gpu, peak))
        tensor = [(p.precision, p.accumulator, p.flops) for p in gpu.peaks if p.unit == "tensor"]
        yield from ((gpu.name, fault) for fault in _ratio_faults(tensor, architecture.ratio_exception, TOLERANCE))


def _peak_faults(architecture: GpuArchitecture, gpu: GpuModel, peak: GpuPeak) -> Iterator[str]:
    yield from _row_faults(peak.precision, peak.accumulator, peak.flops)
    if (peak.dense_tflops is None) == (peak.dense_tops is None):
        yield "give dense_tflops or dense_tops, one of them"
    elif (peak.dense_tops is not None) != (peak.precision == "int8"):
        yield "integers have dense_tops, all others dense_tflops"
    expected = formula_flops(architecture, gpu, peak)
    if expected is None:
        if not peak.unchecked:
            yield "cannot be checked by multiprocessors x FLOP/cycle x clock, and `unchecked` does not say why"
        return
    if peak.unchecked:
        yield "says unchecked, yet multiprocessors, FLOP/cycle and clock are all there"
    off = peak.flops / expected - 1
    if abs(off) > TOLERANCE and not peak.disagreement:
        yield (
            f"{peak.flops / 1e12:.4g} T differs by {off * 100:+.1f} % from multiprocessors x FLOP/cycle x clock = "
            f"{expected / 1e12:.4g} T: a sparse rate, or another clock? If the vendor prints it so, say why in `disagreement`"
        )


def _twins(table: Table) -> Iterator[tuple[str, str]]:
    for entries in (table.cpus.values(), table.gpus.values()):
        owner: dict[str, str] = {}
        for entry in entries:
            for alias in {names.key(n) for n in [entry.name, *entry.aliases]}:
                if owner.setdefault(alias, entry.name) != entry.name:
                    yield entry.name, f"the name {alias!r} is also that of {owner[alias]}"
