"""The same system in several rows or files: under two ranks, with two values, or entered twice."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator

from flopbench.inventory.audit.finding import Finding, number
from flopbench.inventory.audit.interval import printed, rounded
from flopbench.inventory.audit.tables import System
from flopbench.inventory.model import key

_CJK = re.compile(r"[\u4e00-\u9fff]{3,}")
_UNITS = {"rmax": (1e12, "TFLOPS"), "rpeak": (1e12, "TFLOPS"), "power": (1e3, "kW"), "cores": (1.0, "cores")}


def check(tables: list[list[System]]) -> Iterator[Finding]:
    """Findings about rows of all tables of systems together."""
    for systems in tables:
        yield from _twice_in_one(systems)
    for group in _same_systems(tables):
        yield from _two_ranks(group)
        for field in ("rmax", "rpeak", "power", "cores"):
            yield from _two_values(group, field)


def aliases(system: System) -> set[str]:
    """Names under which the row's system may be known elsewhere: the words before a dash or comma, Chinese ones one by one."""
    names = set()
    for field in ("machine", "model"):
        text = unicodedata.normalize("NFKC", system.row.text(field) or "")
        head = re.split(r"\s[-–]\s|,", text)[0]
        names.update(_CJK.findall(head))
        latin = key(" ".join(_CJK.sub(" ", head).split()))
        latin = re.sub(r"[^a-z0-9]+", " ", latin).strip()
        if len(latin) > 3:
            names.add(latin)
    return names


def _twice_in_one(systems: list[System]) -> Iterator[Finding]:
    """One table that has a row's owner, name and figures twice. Lists hold unnamed and paired systems: only full names count."""
    seen: dict[tuple[str, ...], System] = {}
    for system in systems:
        name = system.row.text("machine")
        if name is None or not system.figures:
            continue
        figures = (str(system.figures.get(f)) for f in ("rmax", "rpeak", "power"))
        identity = (key(system.row.text("organisation") or ""), key(name), str(system.cores), *figures)
        other = seen.setdefault(identity, system)
        if other is system:
            continue
        ranks = [s.rank for s in (other, system)]
        field = "rank" if all(ranks) else "machine"
        yield Finding(
            "two ranks" if all(ranks) and ranks[0] != ranks[1] else "duplicate",
            "doubt",
            (other.cell(field), system.cell(field)),
            f"{name} stands in {system.table.title} twice with the same figures"
            + (f", under ranks {ranks[0]} and {ranks[1]}" if all(ranks) else ""),
            "the same figures",
            "one machine was listed twice, or two machines of one kind were not told apart by name",
        )


def _same_systems(tables: list[list[System]]) -> list[list[System]]:
    """Groups of rows of different tables that are one system of one edition: the same TOP500 rank, or a shared name and the same Rmax."""
    groups: list[list[System]] = []
    by_rank: dict[tuple[str | None, int], list[int]] = defaultdict(list)
    by_alias: dict[str, list[int]] = defaultdict(list)
    for systems in tables:
        claimed: set[int] = set()
        for system in systems:
            names = aliases(system)
            ranked = by_rank[system.table.edition, system.rank] if system.rank else []
            named = sorted({place for name in names for place in by_alias[name]})
            place = _place(groups, ranked, claimed, lambda s, system=system: _by_rank(system, s))
            if place is None:
                place = _place(groups, named, claimed, lambda s, system=system: _by_name(system, s))
            if place is None:
                place = len(groups)
                groups.append([])
            groups[place].append(system)
            claimed.add(place)
            if system.rank:
                by_rank[system.table.edition, system.rank].append(place)
            for name in names:
                by_alias[name].append(place)
    return [g for g in groups if len(g) > 1]


def _place(
    groups: list[list[System]], candidates: list[int], claimed: set[int], same: Callable[[System], bool]
) -> int | None:
    """The first candidate group that this table has no row in yet and that holds the same system."""
    return next((i for i in candidates if i not in claimed and any(same(s) for s in groups[i])), None)


def _same_edition(one: System, other: System) -> bool:
    mine, theirs = one.table.edition, other.table.edition
    return one.table is not other.table and (mine is None or theirs is None or mine == theirs)


def _by_rank(one: System, other: System) -> bool:
    return _same_edition(one, other) and one.table.edition is not None and bool(one.rank) and one.rank == other.rank


def _by_name(one: System, other: System) -> bool:
    """A name in common, and rates that may be the same figure rounded or cut off."""
    if not _same_edition(one, other):
        return False
    mine, theirs = one.figures.get("rmax"), other.figures.get("rmax")
    if mine is None or theirs is None or not printed(mine).meets(printed(theirs)):
        return False
    return bool(aliases(one) & aliases(other))


def _two_ranks(group: list[System]) -> Iterator[Finding]:
    ranked = [s for s in group if s.rank and s.table.edition]
    for one, other in itertools.pairwise(ranked):
        if one.table.edition == other.table.edition and one.rank != other.rank:
            yield Finding(
                "two ranks",
                "slip",
                (one.cell("rank"), other.cell("rank")),
                f"one system ({_name(one)}) has TOP500 rank {one.rank} in {one.table.title} and {other.rank} in {other.table.title}",
                f"{abs(int(one.rank or 0) - int(other.rank or 0))} ranks",
                "one of the two ranks is mistyped",
            )


def _two_values(group: list[System], field: str) -> Iterator[Finding]:
    """Values of one figure that no rounding reconciles. A difference that cutting off explains is a note."""
    if field == "cores":
        having = [s for s in group if s.cores]
        if len({s.cores for s in having}) > 1:
            yield _differ(having, field, "slip", "a digit is mistyped, or one of them leaves accelerators out")
        return
    having = [s for s in group if field in s.figures]
    intervals = [rounded(s.figures[field]) for s in having]
    if all(a.meets(b) for i, a in enumerate(intervals) for b in intervals[i + 1 :]) or len(having) < 2:
        return
    loose = [printed(s.figures[field]) for s in having]
    if all(a.meets(b) for i, a in enumerate(loose) for b in loose[i + 1 :]):
        largest = max(having, key=lambda s: s.figures[field].value)
        lowest = min(having, key=lambda s: s.figures[field].value)
        cause = (
            f"{lowest.table.title} cut the figure off where {largest.table.title} rounded it"
            if lowest.table is not largest.table
            else "one of them was cut off instead of rounded"
        )
        yield _differ(having, field, "note", cause)
        return
    yield _differ(having, field, "slip", "one of them is mistyped, or they were measured at different times")


def _differ(systems: list[System], field: str, gravity: str, cause: str) -> Finding:
    factor, unit = _UNITS[field]
    values = [float(s.cores or 0) if field == "cores" else s.figures[field].value for s in systems]
    shown = ", ".join(f"{number(v / factor)} {unit} in {s.table.title}" for v, s in zip(values, systems, strict=True))
    apart = (max(values) - min(values)) / factor
    return Finding(
        "two values",
        gravity,
        tuple(s.cell(field) for s in systems),
        f"{field} of one system ({_name(systems[0])}) is {shown}",
        f"{number(apart)} {unit} ({100 * (max(values) / min(values) - 1):.2g} %)",
        cause,
    )


def _name(system: System) -> str:
    return (system.row.text("machine") or system.row.text("model") or system.label).split(" - ")[0].split(",")[0]
