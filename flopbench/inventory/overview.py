"""What the inventory holds now: every machine with its present facts, peaks and best rate. The base of list, summary, export and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, select

from flopbench.inventory import schema
from flopbench.inventory.model import LEAST_COUNTED_FLOPS, STANDINGS


@dataclass(frozen=True)
class Best:
    """The highest rate of a machine that was not corrected or withdrawn, and how far it can be trusted."""

    measurement_id: int
    rmax_flops: float
    standing: str
    measured_on: str | None
    power_w: float | None
    flops_per_watt: float | None
    n: int | None
    source: str
    run_id: str | None


@dataclass(frozen=True)
class MachineRow:
    """One machine as it stands now. Rates in FLOP/s, power in W; `facts` are the columns of its newest version."""

    machine_id: int
    organisation: str
    sector: str | None
    tier: str | None
    facts: dict[str, Any]
    fp64_peak: float | None
    fp32_peak: float | None
    best: Best | None
    verified: Best | None

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def status(self) -> str:
        return str(self.facts["status"])

    @property
    def rmax(self) -> float | None:
        return self.best.rmax_flops if self.best else None

    @property
    def rpeak(self) -> float | None:
        return self.fp64_peak

    @property
    def of_rpeak(self) -> float | None:
        """Rmax over Rpeak."""
        return self.rmax / self.rpeak if self.rmax and self.rpeak else None

    @property
    def flops_per_watt(self) -> float | None:
        """As it was measured or published; else Rmax over power."""
        if self.best is None:
            return None
        if self.best.flops_per_watt:
            return self.best.flops_per_watt
        power = self.best.power_w
        return self.best.rmax_flops / power if power else None

    @property
    def year(self) -> int | None:
        """When it was installed; else when it was measured."""
        if self.facts["year"]:
            return int(self.facts["year"])
        if self.best and self.best.measured_on and self.best.measured_on[:4].isdigit():
            return int(self.best.measured_on[:4])
        return None

    @property
    def counted(self) -> bool:
        """Whether it enters the sums: running, and at least 1 TFLOPS in FP64 by its peak, or its Rmax if there is no peak."""
        size = self.rpeak or self.rmax or 0.0
        return self.status == "running" and size >= LEAST_COUNTED_FLOPS


def machine_rows(connection: Connection, precision: str = "fp64") -> list[MachineRow]:
    """All machines, in the order in which they were entered. `precision` is that of the LU rate."""
    peaks = _current_peaks(connection)
    best, verified = best_rates(connection, precision)
    versions, organisations = schema.machine_versions, schema.organisation_versions
    newest = _newest(versions, versions.c.machine_id)
    newest_owner = _newest(organisations, organisations.c.organisation_id)
    query = (
        select(
            versions,
            organisations.c.name.label("organisation"),
            organisations.c.sector.label("sector"),
            organisations.c.tier.label("tier"),
        )
        .join(newest, and_(newest.c.of == versions.c.machine_id, newest.c.version == versions.c.version))
        .join(schema.machines, schema.machines.c.id == versions.c.machine_id)
        .join(organisations, organisations.c.organisation_id == schema.machines.c.organisation_id)
        .join(
            newest_owner,
            and_(
                newest_owner.c.of == organisations.c.organisation_id, newest_owner.c.version == organisations.c.version
            ),
        )
        .order_by(versions.c.machine_id)
    )
    rows = []
    result = connection.execute(query)
    names = list(result.keys())
    for values in result:
        row = dict(zip(names, values, strict=True))
        machine = row["machine_id"]
        rows.append(
            MachineRow(
                machine_id=machine,
                organisation=row["organisation"],
                sector=row["sector"],
                tier=row["tier"],
                facts=row,
                fp64_peak=peaks.get((machine, "fp64")),
                fp32_peak=peaks.get((machine, "fp32")),
                best=best.get(machine),
                verified=verified.get(machine),
            )
        )
    return rows


def best_rates(connection: Connection, precision: str) -> tuple[dict[int, Best], dict[int, Best]]:
    """By machine: the best LU rate of any standing, and the best that flopbench verified."""
    table, other, machines = schema.measurements, schema.measurements.alias("other"), schema.machines
    corrected = select(other.c.id).where(other.c.corrects == table.c.id).correlate(table).exists()
    top = table.alias("top")
    columns = [top.c[name] for name in ("id", "machine_id", "standing", "rmax_flops", "measured_on", "power_w")]
    columns += [top.c[name] for name in ("flops_per_watt", "n", "source", "run_id")]
    rows: list[Any] = []
    for standing in STANDINGS:
        # The last entry of each machine in the index `measurements_best`: one look-up a machine, however many measurements it has.
        highest = (
            select(table.c.id)
            .where(table.c.routine == "lu", table.c.precision == precision, table.c.machine_id == machines.c.id)
            .where(table.c.standing == standing, table.c.rmax_flops.is_not(None), ~corrected)
            .order_by(table.c.rmax_flops.desc(), table.c.id.desc())
            .limit(1)
            .correlate(machines)
            .scalar_subquery()
        )
        rows += connection.execute(select(*columns).select_from(machines.join(top, top.c.id == highest)))
    best: dict[int, Best] = {}
    verified: dict[int, Best] = {}
    for row in rows:
        found = Best(
            row.id,
            row.rmax_flops,
            row.standing,
            row.measured_on,
            row.power_w,
            row.flops_per_watt,
            row.n,
            row.source,
            row.run_id,
        )
        if row.standing == "verified":
            verified[row.machine_id] = found
        known = best.get(row.machine_id)
        if known is None or _preference(found) > _preference(known):
            best[row.machine_id] = found
    return best, verified


def _preference(best: Best) -> tuple[float, int]:
    """The higher rate; of equal ones, the better proven."""
    return best.rmax_flops, -STANDINGS.index(best.standing)


def _current_peaks(connection: Connection) -> dict[tuple[int, str], float]:
    """The newest peak of each machine and precision that was not corrected."""
    table = schema.peaks
    corrected = select(table.c.corrects).where(table.c.corrects.is_not(None))
    query = select(table.c.machine_id, table.c.precision, table.c.flops).where(table.c.id.not_in(corrected))
    return {(row.machine_id, row.precision): row.flops for row in connection.execute(query.order_by(table.c.id))}


def _newest(table: Any, of: Any) -> Any:
    return select(of.label("of"), func.max(table.c.version).label("version")).group_by(of).subquery()
