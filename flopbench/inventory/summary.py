"""Sums and rankings over what the inventory holds now, in the forms of the source report's tables 3.1, 3.4 and 5.3."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from flopbench.errors import UnknownName
from flopbench.inventory.model import SECTORS
from flopbench.inventory.overview import MachineRow

#: What a ranking can go by: the key of a machine, None for machines that have none.
ORDERS: dict[str, Callable[[MachineRow], float | None]] = {
    "rmax": lambda row: row.rmax,
    "efficiency": lambda row: row.of_rpeak,
    "gflops-per-watt": lambda row: row.flops_per_watt,
}


@dataclass
class Group:
    """Sums over some machines. Peaks and rates in FLOP/s."""

    name: str
    organisations: set[str] = field(default_factory=set)
    machines: int = 0
    fp64: float = 0.0
    fp32: float = 0.0
    rmax: float = 0.0
    measured: int = 0
    verified: int = 0

    def add(self, row: MachineRow) -> None:
        self.organisations.add(row.organisation)
        self.machines += 1
        self.fp64 += row.fp64_peak or 0.0
        self.fp32 += row.fp32_peak or 0.0
        self.rmax += row.rmax or 0.0
        self.measured += row.rmax is not None
        self.verified += row.verified is not None


@dataclass(frozen=True)
class Summary:
    """`groups` and `total` hold the counted machines; the others are kept apart and said so."""

    groups: list[Group]
    total: Group
    planned: Group
    retired: Group
    small: Group

    @property
    def notes(self) -> list[str]:
        said = []
        if self.small.machines:
            said.append(f"{_machines(self.small)} under 1 TFLOPS FP64 or of unknown size: kept, not counted")
        if self.planned.machines:
            said.append(f"{_machines(self.planned)} planned, {self.planned.fp64 / 1e12:,.2f} TFLOPS FP64: not counted")
        if self.retired.machines:
            said.append(f"{_machines(self.retired)} retired: not counted")
        return said


def by(rows: Iterable[MachineRow], what: str) -> Summary:
    """Sums by "sector", "organisation" or "year". Raises UnknownName."""
    keys: dict[str, Callable[[MachineRow], str]] = {
        "sector": lambda row: row.sector or "not stated",
        "organisation": lambda row: row.organisation,
        "year": lambda row: str(row.year or "not stated"),
    }
    if what not in keys:
        raise UnknownName("grouping", what, keys)
    groups: dict[str, Group] = {}
    total, planned, retired, small = Group("total"), Group("planned"), Group("retired"), Group("under 1 TFLOPS")
    for row in rows:
        if row.status == "planned":
            planned.add(row)
        elif row.status == "retired":
            retired.add(row)
        elif not row.counted:
            small.add(row)
        else:
            name = keys[what](row)
            groups.setdefault(name, Group(name)).add(row)
            total.add(row)
    return Summary(_ordered(groups, what), total, planned, retired, small)


def _ordered(groups: dict[str, Group], what: str) -> list[Group]:
    if what == "sector":
        order = [*SECTORS, "not stated"]
        return sorted(groups.values(), key=lambda g: order.index(g.name) if g.name in order else len(order))
    if what == "year":
        return sorted(groups.values(), key=lambda g: g.name)
    return sorted(groups.values(), key=lambda g: (-g.rmax, -g.fp64, g.name))


def ranking(rows: Iterable[MachineRow], order: str, verified_only: bool = False) -> list[MachineRow]:
    """Machines by `order`, best first; those without such a figure are left out. Planned and retired ones too. Raises UnknownName."""
    if order not in ORDERS:
        raise UnknownName("order", order, ORDERS)
    figure = ORDERS[order]
    ranked = []
    for row in rows:
        if row.status != "running":
            continue
        if verified_only:
            row = replace(row, best=row.verified)
        if (value := figure(row)) is not None:
            ranked.append((value, row))
    ranked.sort(key=lambda pair: (-pair[0], pair[1].machine_id))
    return [row for _, row in ranked]


def share(part: float, whole: float) -> float | None:
    """`part` of `whole`; None where the whole is nothing."""
    return part / whole if whole else None


def _machines(group: Group) -> str:
    return f"{group.machines} machine{'s' if group.machines != 1 else ''}"
