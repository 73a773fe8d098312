"""Energy in tables and lines, from records: the rate per watt, and what the meters covered."""

from __future__ import annotations

from collections.abc import Sequence

from flopbench.report.content import Column
from flopbench.results import Record
from flopbench.units import rate, si


def columns(records: Sequence[Record]) -> tuple[Column, ...]:
    """The column that a table of rates gets, if a record has energy."""
    return (Column("per watt", True),) if any(record.energy for record in records) else ()


def cells(record: Record, records: Sequence[Record]) -> tuple[str, ...]:
    """The cell of `record` under `columns(records)`."""
    return (per_watt(record) or "-",) if columns(records) else ()


def notes(records: Sequence[Record]) -> list[str]:
    """What the energy covers, what was wrong with it, or why there is none; each once."""
    lines: dict[str, None] = {}
    for record in records:
        energy = record.energy
        if energy is not None:
            lines[f"energy: covers {', '.join(energy.cover)}; level: {energy.level}"] = None
            lines |= dict.fromkeys(f"energy: {warning}" for warning in energy.warnings)
        elif record.energy_reason:
            lines[f"energy: none: {record.energy_reason}"] = None
    return list(lines)


def per_watt(record: Record) -> str | None:
    """ "4.632 GFLOPS/W", or None if it is not known."""
    energy = record.energy
    return f"{rate(energy.flops_per_watt, record.unit)}/W" if energy is not None and energy.flops_per_watt else None


def rows(record: Record) -> list[tuple[str, str]]:
    """One record's energy in full, for the summary of a run: (label, text); nothing if nobody asked for it."""
    energy = record.energy
    if energy is None:
        return [("energy", f"none: {record.energy_reason}")] if record.energy_reason else []
    idle = f", idle {si(energy.idle_power_w, 'W')}" if energy.idle_power_w is not None else ""
    power = f"{si(energy.joules, 'J')} at a mean of {si(energy.mean_power_w, 'W')}{idle}"
    parts = [per_watt(record), f"{power}; covers {', '.join(energy.cover)}; level: {energy.level}"]
    return [("energy", ": ".join(filter(None, parts))), *(("warning", f"energy: {text}") for text in energy.warnings)]
