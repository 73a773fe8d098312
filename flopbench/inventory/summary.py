"""Sums and rankings over what the inventory holds now, in the forms of the source report's tables 3.1, 3.4 and 5.3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, case, func, select

from flopbench.errors import UnknownName
from flopbench.inventory import schema
from flopbench.inventory.model import SECTORS, WALL
from flopbench.inventory.overview import MachineRow, fetch, present

#: What a ranking can go by, and the column of `overview.present` that has it.
ORDERS = {"rmax": "rmax_flops", "efficiency": "of_rpeak", "gflops-per-watt": "flops_per_watt"}
#: What sums can be grouped by, likewise.
GROUPINGS = {"sector": "sector", "organisation": "organisation", "year": "shown_year"}
#: Up to so many machines are asked for by their ids; more are read with all others.
MOST_NAMED = 1000


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

    def add(self, organisation: str, sums: Any) -> None:
        """`sums` over the machines of one organisation."""
        self.organisations.add(organisation)
        self.machines += sums.machines
        self.fp64 += sums.fp64 or 0.0
        self.fp32 += sums.fp32 or 0.0
        self.rmax += sums.rmax or 0.0
        self.measured += sums.measured
        self.verified += sums.verified


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


def by(connection: Connection, what: str) -> Summary:
    """Sums by "sector", "organisation" or "year". Raises UnknownName."""
    if what not in GROUPINGS:
        raise UnknownName("grouping", what, GROUPINGS)
    now = present()
    parts = [
        case((now.c.status != "running", now.c.status), (now.c.counted == 1, "counted"), else_="small").label("part"),
        now.c[GROUPINGS[what]].label("named"),
        now.c.organisation,
    ]
    sums = [
        func.count().label("machines"),
        *(
            func.sum(now.c[c]).label(n)
            for n, c in (("fp64", "fp64_peak"), ("fp32", "fp32_peak"), ("rmax", "rmax_flops"))
        ),
        func.count(now.c.rmax_flops).label("measured"),
        func.sum(now.c.verified).label("verified"),
    ]
    groups: dict[str, Group] = {}
    total, apart = (
        Group("total"),
        {"planned": Group("planned"), "retired": Group("retired"), "small": Group("under 1 TFLOPS")},
    )
    for row in connection.execute(select(*parts, *sums).group_by(*parts).order_by(*parts)):
        if row.part == "counted":
            name = str(row.named or "not stated")
            groups.setdefault(name, Group(name)).add(row.organisation, row)
            total.add(row.organisation, row)
        else:
            apart[row.part].add(row.organisation, row)
    return Summary(_ordered(groups, what), total, apart["planned"], apart["retired"], apart["small"])


def _ordered(groups: dict[str, Group], what: str) -> list[Group]:
    if what == "sector":
        order = [*SECTORS, "not stated"]
        return sorted(groups.values(), key=lambda g: order.index(g.name) if g.name in order else len(order))
    if what == "year":
        return sorted(groups.values(), key=lambda g: g.name)
    return sorted(groups.values(), key=lambda g: (-g.rmax, -g.fp64, g.name))


@dataclass(frozen=True)
class Ranking:
    """The first `rows` of the `ranked` machines that have the figure, of all `machines` in the inventory.

    By GFLOPS/W only a power at the wall, or a published one, ranks; `apart` are machines whose power is that of components or a node's
    own sensor, best first. They have no rank.
    """

    rows: list[MachineRow]
    ranked: int
    machines: int
    apart: list[MachineRow] = field(default_factory=list)


def ranking(
    connection: Connection, order: str, precision: str = "fp64", verified_only: bool = False, limit: int | None = None
) -> Ranking:
    """Running machines by `order`, best first; those without such a figure are left out. Raises UnknownName."""
    if order not in ORDERS:
        raise UnknownName("order", order, ORDERS)
    now = present(precision, verified_only)
    figure = now.c[ORDERS[order]]
    machines = connection.execute(select(func.count()).select_from(schema.machines)).scalar_one()
    if order != "gflops-per-watt":
        return Ranking(*_ranked(connection, now, figure, None, limit), machines)
    below_wall = func.coalesce(now.c.power_cover, WALL) != WALL
    apart, _ = _ranked(connection, now, figure, below_wall, limit)
    return Ranking(*_ranked(connection, now, figure, ~below_wall, limit), machines, apart)


def _ranked(
    connection: Connection, now: Subquery, figure: Any, which: ColumnElement[bool] | None, limit: int | None
) -> tuple[list[MachineRow], int]:
    """The first `limit` of the running machines that have the `figure`, best first, and how many have it."""
    # Their order needs few columns; only the machines that are asked for are read whole.
    query = (
        select(now.c.machine_id, func.count().over().label("ranked"))
        .where(now.c.status == "running", figure.is_not(None))
        .order_by(figure.desc(), now.c.machine_id)
        .limit(limit)
    )
    places = connection.execute(query if which is None else query.where(which)).all()
    if not places:
        return [], 0
    wanted = select(now)
    if limit is not None and limit <= MOST_NAMED:
        wanted = wanted.where(now.c.machine_id.in_([place.machine_id for place in places]))
    whole = {row.machine_id: row for row in fetch(connection, wanted)}
    return [whole[p.machine_id] for p in places], places[0].ranked


def _machines(group: Group) -> str:
    return f"{group.machines} machine{'s' if group.machines != 1 else ''}"
