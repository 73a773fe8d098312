"""Tables of systems, row by row and from row to row: what follows from the cells beside it?"""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

from flopbench.inventory.audit.finding import Finding, number
from flopbench.inventory.audit.interval import printed, rounded
from flopbench.inventory.audit.tables import System
from flopbench.inventory.exchange.systems import ACCELERATED, CORES

_GHZ = re.compile(r"(\d+(?:\.\d+)?)\s*GHz", re.I)
#: How far Rpeak may be from cores x clock x FLOP/cycle: both are printed with three or four digits.
_PEAK_TOLERANCE = 0.005
#: Beyond these, cores x clock and Rpeak are not in the same unit.
_PER_CYCLE = (0.2, 80.0)


@functools.cache
def limits() -> dict[str, Any]:
    text = resources.files("flopbench.inventory").joinpath("data/limits.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def check(systems: list[System]) -> Iterator[Finding]:
    """Findings of one table."""
    for system in systems:
        yield from _rmax_over_rpeak(system)
        yield from _efficiency(system)
        yield from _peak_from_cores(system)
        yield from _per_core(system)
        yield from _cores(system)
        yield from _use_for_os(system)
    yield from _order(systems)
    yield from _ranks(systems)


def _rmax_over_rpeak(system: System) -> Iterator[Finding]:
    rmax, rpeak = system.figures.get("rmax"), system.figures.get("rpeak")
    if rmax is None or rpeak is None:
        return
    ratio = rmax.value / rpeak.value
    if ratio > 1 and printed(rmax).low > printed(rpeak).high:
        cause = "the peak was reckoned with a lower clock or fewer units than the run used, or the cells are swapped"
        if ratio > 300:
            cause = "the two cells are in different units: a factor of 1000"
        yield Finding(
            "rmax over rpeak",
            "slip",
            (system.cell("rmax"), system.cell("rpeak")),
            f"Rmax is {100 * ratio:.4g} % of Rpeak",
            f"a factor of {ratio:.4g}",
            cause,
        )
    elif ratio < 0.003:
        yield Finding(
            "unit",
            "doubt",
            (system.cell("rmax"), system.cell("rpeak")),
            f"Rmax is {100 * ratio:.3g} % of Rpeak",
            f"a factor of {1 / ratio:.4g}",
            "the two cells are in different units: a factor of 1000",
        )


def _efficiency(system: System) -> Iterator[Finding]:
    rmax, power = system.figures.get("rmax"), system.figures.get("power")
    given = system.figures.get("energy_efficiency")
    computed = rmax.value / power.value if rmax and power else None
    best = limits()["gflops_per_watt"]
    highest = max(filter(None, [computed, given.value if given else None]), default=None)
    if highest is not None and highest > best["value"] * 1e9 * 1.0001:
        fields = [f for f in ("rmax", "power", "energy_efficiency") if f in system.figures]
        yield Finding(
            "beyond record",
            "doubt",
            tuple(system.cell(f) for f in fields),
            f"{number(highest / 1e9)} GFLOPS/W, more than any system has reached ({best['value']}: {best['system']})",
            f"a factor of {highest / 1e9 / best['value']:.3g}",
            "a unit is off by 1000"
            if highest / 1e12 <= best["value"] < highest / 1e10
            else "power of a part, or mistyped",
        )
        if given is None:
            return
    if rmax is None or power is None or given is None or computed is None:
        return
    possible = printed(rmax) / printed(power)
    if possible.meets(rounded(given)):
        return
    off = given.value / computed
    cause = "the efficiency was measured in another, power-saving run, or a figure is mistyped"
    again, shown = computed / 1e9, given.value / 1e9
    if 300 < off < 3000 or 300 < 1 / off < 3000:
        cause = "a unit is off by 1000"
    elif _digit_apart(again, system.cell("energy_efficiency").text):
        cause = "one digit is mistyped"
    yield Finding(
        "efficiency",
        "slip",
        (system.cell("energy_efficiency"), system.cell("rmax"), system.cell("power")),
        f"Rmax / power is {number(again)} GFLOPS/W, printed is {number(shown)}",
        f"{number(abs(again - shown))} GFLOPS/W ({100 * abs(off - 1):.2g} %)",
        cause,
    )


def _digit_apart(value: float, text: str) -> bool:
    """Whether `value`, printed like `text`, differs from it in one digit only."""
    decimals = len(text.partition(".")[2])
    mine = f"{value:.{decimals}f}"
    return len(mine) == len(text) and sum(a != b for a, b in zip(mine, text, strict=True)) == 1


def _peak_from_cores(system: System) -> Iterator[Finding]:
    """Rpeak = cores x clock x FLOP/cycle, for systems without accelerators whose clock is known."""
    rpeak, cores, hertz = system.figures.get("rpeak"), _core_count(system), _clock(system)
    if rpeak is None or not cores or not hertz or _accelerated(system):
        return
    per_cycle = rpeak.value / (cores * hertz)
    known = limits()["flop_per_cycle"]["values"]
    low, high = printed(rpeak).low / (cores * hertz), printed(rpeak).high / (cores * hertz)
    if any(low * (1 - _PEAK_TOLERANCE) <= k <= high * (1 + _PEAK_TOLERANCE) for k in known):
        return
    nearest = min(known, key=lambda k: abs(per_cycle / k - 1) if per_cycle >= k else abs(k / per_cycle - 1))
    slip = not _PER_CYCLE[0] <= per_cycle <= _PER_CYCLE[1]
    thousand = slip and any(
        abs(per_cycle * f / k - 1) < 10 * _PEAK_TOLERANCE for f in (1e3, 1e-3, 1e6, 1e-6) for k in known
    )
    field = "cores" if system.cores else "compute"
    cause = "the peak was reckoned with another clock (turbo, AVX) or for another number of cores"
    if slip:
        cause = (
            "a unit is off by a factor of 1000" if thousand else "another kind of core is counted, or a digit is wrong"
        )
    yield Finding(
        "unit" if thousand else "rpeak",
        "slip" if thousand else "doubt",
        (system.cell("rpeak"), system.cell(field)),
        f"Rpeak is cores ({cores:,}) x {hertz / 1e9:g} GHz x {per_cycle:.4g} FLOP/cycle, which no processor has (nearest: {nearest})",
        f"a factor of {max(per_cycle / nearest, nearest / per_cycle):.4g}",
        cause,
    )


def _core_count(system: System) -> int | None:
    if system.cores:
        return system.cores
    found = CORES.search(system.row.text("compute") or "")
    return int(found["count"].replace(",", "")) if found else None


def _clock(system: System) -> float | None:
    """Hz from the column for it, else from the text of processor or model."""
    if text := system.row.text("processor_mhz"):
        try:
            return float(text.replace(",", "")) * 1e6
        except ValueError:
            return None
    for field in ("processor", "compute", "model", "machine"):
        if found := _GHZ.search(system.row.text(field) or ""):
            return float(found[1]) * 1e9
    return None


def _accelerated(system: System) -> bool:
    if system.row.text("accelerator") or (system.row.count("accelerator_cores") or 0) > 0:
        return True
    return any(ACCELERATED.search(system.row.text(f) or "") for f in ("compute", "model", "machine", "processor"))


def _per_core(system: System) -> Iterator[Finding]:
    """A rate that no core can have is in the wrong unit."""
    cores = _core_count(system)
    most = limits()["core_gflops"]["value"] * 1e9
    for field in ("rmax", "rpeak"):
        figure = system.figures.get(field)
        if figure is None or not cores or figure.value / cores <= most:
            continue
        excess = figure.value / cores
        yield Finding(
            "unit",
            "slip",
            (system.cell(field), system.cell("cores" if system.cores else "compute")),
            f"{number(excess / 1e9)} GFLOPS a core, more than any core or SM has",
            f"a factor of {excess / most:.3g} beyond the highest possible",
            "the cell is in a smaller unit than its heading says: a factor of 1000 or a power of it",
        )


def _cores(system: System) -> Iterator[Finding]:
    cores, accelerators = system.cores, system.row.count("accelerator_cores")
    nodes, per_node = system.row.count("nodes"), system.row.count("cores_per_node")
    if cores and accelerators and accelerators > cores:
        yield Finding(
            "cores",
            "slip",
            (system.cell("cores"), system.cell("accelerator_cores")),
            f"{accelerators:,} cores on accelerators, but {cores:,} in all",
            f"{accelerators - cores:,}",
            "the cells are swapped, or the total counts processors only",
        )
    if cores and nodes and per_node and nodes * per_node != cores and not _accelerated(system):
        yield Finding(
            "cores",
            "slip",
            (system.cell("cores"), system.cell("nodes"), system.cell("cores_per_node")),
            f"{nodes:,} nodes x {per_node:,} cores are {nodes * per_node:,}, printed are {cores:,}",
            f"{abs(nodes * per_node - cores):,}",
            "nodes were added or left out, or a digit is wrong",
        )


def _use_for_os(system: System) -> Iterator[Finding]:
    if any(note.startswith("the cell for the operating system holds") for note in system.line.notes):
        yield Finding(
            "misplaced",
            "note",
            (system.cell("system_cell"),),
            f"the cell for the operating system holds {system.cell('system_cell').text!r}, which is a use",
            "not a number",
            "the heading is short for the operating system, but reads like the use of the system",
        )


def _order(systems: list[System]) -> Iterator[Finding]:
    """A list ranked by Rmax, or by GFLOPS per watt, falls from row to row."""
    for rank, field in (("rank", "rmax"), ("green_rank", "energy_efficiency")):
        if rank == "rank" and any(s.green_rank for s in systems):
            continue
        ranked = sorted((s for s in systems if getattr(s, rank) and field in s.figures), key=lambda s: getattr(s, rank))
        for above, below in itertools.pairwise(ranked):
            if getattr(above, rank) == getattr(below, rank):
                continue
            if printed(below.figures[field]).low > printed(above.figures[field]).high:
                yield Finding(
                    "order",
                    "slip",
                    (above.cell(field), below.cell(field)),
                    f"rank {getattr(below, rank)} has more than rank {getattr(above, rank)}",
                    f"{100 * (below.figures[field].value / above.figures[field].value - 1):.3g} %",
                    "one of the two figures or ranks is wrong",
                )


def _ranks(systems: list[System]) -> Iterator[Finding]:
    for rank in ("rank", "green_rank"):
        seen: dict[int, System] = {}
        for system in systems:
            value = getattr(system, rank)
            if not value:
                continue
            if value in seen and not _tied(seen[value], system):
                yield Finding(
                    "rank twice",
                    "slip",
                    (seen[value].cell(rank), system.cell(rank)),
                    f"two systems have rank {value}",
                    "the same number",
                    "a row stands twice, or a rank is mistyped",
                )
            seen.setdefault(value, system)


def _tied(one: System, other: System) -> bool:
    """Systems with equal rates may share a rank."""
    mine, theirs = one.figures.get("rmax"), other.figures.get("rmax")
    return mine is not None and theirs is not None and mine.value == theirs.value and one.line.cells != other.line.cells
