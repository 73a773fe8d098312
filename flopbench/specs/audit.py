"""Hold a TOP500 list against the hardware table: Rpeak computed from processor, cores and clock, next to the one that was published.

    computed = total cores x FLOP/cycle/core of the microarchitecture x clock in the list

Only systems without accelerators are compared. For each that differs, the likely cause is looked for in what the published figure
would need: another FLOP/cycle, another clock, or something that is not in the core count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from flopbench.specs.peak import choose
from flopbench.specs.schema import CpuModel, Microarchitecture
from flopbench.specs.table import Table
from flopbench.specs.top500 import System

#: Published and computed Rpeak agree within this: lists round clocks and rates.
TOLERANCE = 0.005
#: Within this, rounding of the clock in the list (2.66 for 2.667 GHz) or of the core count explains the rest.
ROUNDING = 0.015
#: FLOP/cycle/core that some convention or unit has.
USUAL_FLOP_PER_CYCLE = (1, 2, 4, 8, 16, 32, 64)
#: Words in a system's description that name a co-processor.
_COPROCESSORS = ("phi", "nvidia", "tesla", "k20", "k40", "k80", "p100", "v100", "firepro", "pezy", "gpu", "radeon")


@dataclass(frozen=True)
class Line:
    """One system: computed Rpeak in FLOP/s (None if not computable) and what is to be said about it."""

    system: System
    outcome: str  # agrees | differs | unknown CPU | accelerator | unreadable
    computed_flops: float | None
    cause: str

    @property
    def relative(self) -> float | None:
        """published / computed - 1."""
        return self.system.rpeak_flops / self.computed_flops - 1 if self.computed_flops else None


@dataclass(frozen=True)
class Audit:
    """All systems of a list."""

    lines: tuple[Line, ...]

    @property
    def counts(self) -> Counter[str]:
        """Systems by outcome."""
        return Counter(line.outcome for line in self.lines)

    @property
    def compared(self) -> int:
        """Systems without accelerators, unknown processors among them."""
        return len(self.lines) - self.counts["accelerator"]

    @property
    def share(self) -> float | None:
        """Share of the compared systems whose published Rpeak the table reproduces; None if there are none."""
        return self.counts["agrees"] / self.compared if self.compared else None


def audit(systems: Iterable[System], table: Table) -> Audit:
    """Every system of a list held against `table`."""
    return Audit(tuple(_line(system, table) for system in systems))


def _line(system: System, table: Table) -> Line:
    if system.has_accelerator:
        what = system.accelerator if system.accelerator.lower() != "none" else "co-processor cores"
        return Line(system, "accelerator", None, f"{what}: not compared")
    if system.problem:
        return Line(system, "unreadable", None, system.problem)
    micro, model = _identify(system, table)
    row = choose(micro.arithmetic, "fp64") if micro else None
    if micro is None or row is None:
        return Line(system, "unknown CPU", None, f"no core design known for {system.processor!r}")
    computed = system.cores * row.flop_per_cycle_per_core * system.clock_ghz * 1e9
    off = system.rpeak_flops / computed - 1
    if abs(off) <= TOLERANCE:
        return Line(system, "agrees", computed, "")
    return Line(system, "differs", computed, likely_cause(system, micro, row.flop_per_cycle_per_core, model))


def _identify(system: System, table: Table) -> tuple[Microarchitecture | None, CpuModel | None]:
    """The core design by model, by the processor's name, or by the generation that the list gives."""
    model = table.cpu(system.processor)
    if model is not None:
        return table.microarchitectures[model.microarchitecture], model
    for text in (system.processor, system.generation):
        micro = table.microarchitecture_by_name(text) if text else None
        if micro is not None:
            return micro, None
    return None, None


def likely_cause(system: System, micro: Microarchitecture, flop_per_cycle: float, model: CpuModel | None) -> str:
    """Why the published Rpeak may differ from cores x FLOP/cycle x clock. The first explanation that fits the numbers."""
    ratio = system.rpeak_flops / (system.cores * flop_per_cycle * system.clock_ghz * 1e9)
    per_cycle, ghz = ratio * flop_per_cycle, ratio * system.clock_ghz
    description = f"{system.name} {system.computer}"
    usual = next((u for u in USUAL_FLOP_PER_CYCLE if abs(per_cycle / u - 1) <= TOLERANCE), None)
    several = _several_processors(description)
    other = next((c for c in _clocks(description) if abs(ghz / c - 1) <= TOLERANCE and c != system.clock_ghz), None)
    if usual is not None and not several:
        return f"{usual:g} FLOP/cycle/core counted, {micro.title} has {flop_per_cycle:g}"
    if abs(ratio - 1) <= ROUNDING and not several:
        return f"rounding: published = {ratio:.4f} x computed, as with a clock of {ghz:.3f} GHz"
    if other is not None:
        return f"its description says {other:g} GHz, the clock column {system.clock_ghz:g}"
    if several:
        counted = f", all counted with {usual:g} FLOP/cycle/core" if usual is not None else ""
        return f"mixed processors: {', '.join(several)}{counted}"
    if (
        ratio > 1
        and any(word in description.lower() for word in _COPROCESSORS)
        and "phi" not in system.processor.lower()
    ):
        return f"co-processors counted in Rpeak but not in the accelerator column ({ratio:.2f} x)"
    if 1 < ratio <= 1.35:
        turbo = f" (turbo to {model.boost_ghz:g})" if model and model.boost_ghz else ""
        return f"higher clock taken ({ghz:.2f} GHz instead of {system.clock_ghz:g}{turbo}), or processors of several kinds counted as one"
    if 0.6 <= ratio < 1:
        lower = "AVX clock" if flop_per_cycle >= 16 else "lower clock"
        return f"{lower} taken ({ghz:.2f} GHz instead of {system.clock_ghz:g}), or processors of several kinds counted as one"
    return f"not explained: {per_cycle:.2f} FLOP/cycle/core at {system.clock_ghz:g} GHz"


def _clocks(description: str) -> list[float]:
    """Every clock that a description prints, in GHz: "Xeon E5-2650v3 10C 2GHz", "E5-2670/E5-2680v2 2.6/2.8GHz"."""
    groups = re.findall(r"((?:\d(?:\.\d+)?\s*/\s*)*\d(?:\.\d+)?)\s*ghz", description, re.IGNORECASE)
    return [float(part) for group in groups for part in group.split("/")]


def _several_processors(description: str) -> list[str]:
    """The processor models that a description names, if they are more than one."""
    found = re.findall(
        r"\bE[357]-\d{4}[A-UW-Z]?\s?(?:v\d)?|\b(?:Gold|Platinum|Silver)\s\d{4}[A-Z]?|\bPhi\s\d{4}[A-Z]?|/\s?\d{4}\b|\bOpteron\b",
        description,
        re.IGNORECASE,
    )
    models = dict.fromkeys(re.sub(r"[\s/]+", " ", text).strip() for text in found)
    unique = {m.lower().replace(" ", ""): m for m in models}
    return list(unique.values()) if len(unique) > 1 else []
