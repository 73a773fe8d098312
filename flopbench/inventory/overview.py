"""What the inventory holds now: every machine with its present facts, peaks and best rate. The base of list, summary, export and page.

`present` is the one place that says what these figures are; the database computes them, so that a list of twenty brings back twenty rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, and_, case, cast, func, literal, or_, select
from sqlalchemy import Integer as WholeNumber

from flopbench.inventory import schema
from flopbench.inventory.model import LEAST_COUNTED_FLOPS, STANDINGS, WALL

_FACTS = [column.name for column in schema.machine_versions.columns]
_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Best:
    """The highest rate of a machine that was not corrected or withdrawn, and how far it can be trusted."""

    measurement_id: int
    rmax_flops: float
    standing: str
    measured_on: str | None
    power_w: float | None
    power_cover: str | None
    n: int | None
    source: str
    run_id: str | None


@dataclass(frozen=True)
class MachineRow:
    """One machine as it stands now. Rates in FLOP/s, power in W; `facts` are the columns of its newest version.

    `of_rpeak` is Rmax over Rpeak. `flops_per_watt` is as measured or published, else Rmax over power. `year` is when the
    machine was installed, else when it was measured.
    """

    machine_id: int
    organisation: str
    sector: str | None
    tier: str | None
    facts: dict[str, Any]
    fp64_peak: float | None
    fp32_peak: float | None
    best: Best | None
    of_rpeak: float | None
    flops_per_watt: float | None
    year: int | None

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def status(self) -> str:
        return str(self.facts["status"])

    @property
    def cover(self) -> str | None:
        """What the power was read of where that is less than the wall: such a power or GFLOPS/W is not compared with others."""
        return self.best.power_cover if self.best and self.best.power_cover != WALL else None

    @property
    def machine_power_w(self) -> float | None:
        """The power of the whole machine: at the wall or as published, else the site's figure; never that of components."""
        measured = self.best.power_w if self.best and self.cover is None else None
        return measured or self.facts["site_power_w"]

    @property
    def rmax(self) -> float | None:
        return self.best.rmax_flops if self.best else None

    @property
    def rpeak(self) -> float | None:
        return self.fp64_peak


def present(precision: str = "fp64", verified_only: bool = False) -> Subquery:
    """A row for each machine, with the columns of its newest version and:

    organisation, sector, tier; fp64_peak, fp32_peak (newest, not corrected, FLOP/s); rmax_flops and its measurement_id,
    standing, measured_on, power_w, power_cover, n, rate_source, run_id (the best LU rate in `precision`; of equal rates the better
    proven); of_rpeak, flops_per_watt, shown_year; `verified`, whether flopbench verified a rate of it; `counted`, whether
    it enters the sums: it runs, and has at least 1 TFLOPS in FP64 by its peak, or its Rmax if there is no peak.
    """
    machines, facts, owners = schema.machines, schema.machine_versions, schema.organisation_versions
    top, proven = schema.best_rates.alias("top"), schema.best_rates.alias("proven")
    fp64, fp32 = schema.peaks.alias("fp64"), schema.peaks.alias("fp32")
    joined = (
        machines.join(facts, facts.c.machine_id == machines.c.id)
        .join(owners, owners.c.organisation_id == machines.c.organisation_id)
        .outerjoin(fp64, _newest_peak(fp64, "fp64"))
        .outerjoin(fp32, _newest_peak(fp32, "fp32"))
        .outerjoin(proven, and_(_lu_rate(proven, precision), proven.c.standing == "verified"))
        .outerjoin(
            top, and_(_lu_rate(top, precision), top.c.standing == "verified" if verified_only else _highest(top))
        )
    )
    rmax, rpeak = top.c.rmax_flops, func.nullif(fp64.c.flops, 0)
    measured_in = case(
        (
            and_(*(func.substr(top.c.measured_on, place, 1).in_(_DIGITS) for place in range(1, 5))),
            cast(func.substr(top.c.measured_on, 1, 4), WholeNumber),
        )
    )
    return (
        select(
            *(facts.c[name] for name in _FACTS),
            owners.c.name.label("organisation"),
            owners.c.sector,
            owners.c.tier,
            fp64.c.flops.label("fp64_peak"),
            fp32.c.flops.label("fp32_peak"),
            rmax,
            *(
                top.c[name]
                for name in ("measurement_id", "standing", "measured_on", "power_w", "power_cover", "n", "run_id")
            ),
            top.c.source.label("rate_source"),
            (rmax / rpeak).label("of_rpeak"),
            func.coalesce(func.nullif(top.c.flops_per_watt, 0), rmax / func.nullif(top.c.power_w, 0)).label(
                "flops_per_watt"
            ),
            func.coalesce(func.nullif(facts.c.year, 0), measured_in).label("shown_year"),
            case((proven.c.rmax_flops.is_not(None), 1), else_=0).label("verified"),
            case(
                (
                    and_(
                        facts.c.status == "running",
                        func.coalesce(rpeak, rmax, 0) >= LEAST_COUNTED_FLOPS,
                    ),
                    1,
                ),
                else_=0,
            ).label("counted"),
        )
        .select_from(joined)
        .where(_is_newest(facts, "machine_id"), _is_newest(owners, "organisation_id"))
        .subquery("present")
    )


def machine_rows(connection: Connection, precision: str = "fp64") -> list[MachineRow]:
    """All machines, in the order in which they were entered. `precision` is that of the LU rate."""
    now = present(precision)
    return fetch(connection, select(now).order_by(now.c.machine_id))


def fetch(connection: Connection, query: Any) -> list[MachineRow]:
    """The rows of a query that selects the columns of `present`."""
    result = connection.execute(query)
    names = list(result.keys())
    return [_row(dict(zip(names, values, strict=True))) for values in result]


def _row(row: dict[str, Any]) -> MachineRow:
    best = None
    if row["measurement_id"] is not None:
        best = Best(
            row["measurement_id"],
            row["rmax_flops"],
            row["standing"],
            row["measured_on"],
            row["power_w"],
            row["power_cover"],
            row["n"],
            row["rate_source"],
            row["run_id"],
        )
    return MachineRow(
        machine_id=row["machine_id"],
        organisation=row["organisation"],
        sector=row["sector"],
        tier=row["tier"],
        facts={name: row[name] for name in _FACTS},
        fp64_peak=row["fp64_peak"],
        fp32_peak=row["fp32_peak"],
        best=best,
        of_rpeak=row["of_rpeak"],
        flops_per_watt=row["flops_per_watt"],
        year=row["shown_year"],
    )


# "The newest" and "the highest" are said as "there is no newer, no higher one": SQLite looks each up in an index, PostgreSQL joins
# whole tables by hash, where max() or LIMIT 1 for each machine would be tens of thousands of look-ups.


def _lu_rate(rates: Any, precision: str) -> ColumnElement[bool]:
    return and_(rates.c.machine_id == schema.machines.c.id, rates.c.routine == "lu", rates.c.precision == precision)


def _highest(top: Any) -> ColumnElement[bool]:
    """No other standing has a higher rate of this machine; of equal rates the better proven stands."""
    other = schema.best_rates.alias("other")
    same = (other.c[name] == top.c[name] for name in ("machine_id", "routine", "precision"))
    above = or_(
        other.c.rmax_flops > top.c.rmax_flops,
        and_(other.c.rmax_flops == top.c.rmax_flops, _proof(other) < _proof(top)),
    )
    return ~select(literal(1)).where(*same, above).correlate(top).exists()


def _proof(rates: Any) -> ColumnElement[int]:
    return case(*((rates.c.standing == name, place) for place, name in enumerate(STANDINGS)))


def _newest_peak(peak: Any, precision: str) -> ColumnElement[bool]:
    """`peak` is the machine's newest of those in `precision` that were not corrected."""
    newer = schema.peaks.alias(f"newer_{precision}")
    follows = (newer.c.machine_id == peak.c.machine_id, newer.c.precision == precision, newer.c.id > peak.c.id)
    return and_(
        peak.c.machine_id == schema.machines.c.id,
        peak.c.precision == precision,
        ~_corrected(peak),
        ~select(literal(1)).where(*follows, ~_corrected(newer)).correlate(peak).exists(),
    )


def _corrected(peak: Any) -> ColumnElement[bool]:
    later = schema.peaks.alias(f"corrects_{peak.name}")
    return select(literal(1)).where(later.c.corrects == peak.c.id).correlate(peak).exists()


def _is_newest(versions: Any, of: str) -> ColumnElement[bool]:
    """No other version of the same machine or organisation is newer."""
    other = versions.alias(f"newer_{versions.name}")
    newer = (other.c[of] == versions.c[of], other.c.version > versions.c.version)
    return ~select(literal(1)).where(*newer).correlate(versions).exists()
