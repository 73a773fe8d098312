"""How the inventory's commands print: tables of at most 80 columns, or one JSON document."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from flopbench.units import percent, rate

if TYPE_CHECKING:
    from pathlib import Path

    from flopbench.inventory.audit.finding import Finding
    from flopbench.inventory.importing import Import, Imported
    from flopbench.inventory.overview import MachineRow
    from flopbench.inventory.published import SectorTable
    from flopbench.inventory.summary import Group, Ranking, Summary


def document(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def _table(title: str, columns: list[tuple[str, str]], rows: list[list[str]]) -> None:
    from rich.console import Console  # here, so that --json starts without it
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading, justify in columns:
        words = justify == "left"
        table.add_column(heading, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    width = None if sys.stdout.isatty() else 80
    Console(width=width, highlight=False, soft_wrap=False).print(table)


def init(name: str, steps: list[str], as_json: bool) -> None:
    if as_json:
        return document({"inventory": name, "steps": steps})
    click.echo(f"{name}: {'applied ' + ', '.join(steps) if steps else 'up to date'}")


def added(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return document({"entered": done})
    click.echo("entered: " + ", ".join(f"{name} {value}" for name, value in done.items()))


def machine_json(row: MachineRow) -> dict[str, Any]:
    """One machine as JSON, SI units."""
    best = row.best
    return {
        "machine_id": row.machine_id,
        "organisation": row.organisation,
        "sector": row.sector,
        "machine": row.name,
        "status": row.status,
        "year": row.year,
        "cores": row.facts["cores"],
        "rmax_flops": row.rmax,
        "rpeak_flops": row.rpeak,
        "rpeak_fp32_flops": row.fp32_peak,
        "of_rpeak": row.of_rpeak,
        "flops_per_watt": row.flops_per_watt,
        "power_w": best.power_w if best else row.facts["site_power_w"],
        "power_cover": best.power_cover if best else None,
        "standing": best.standing if best else None,
        "measured_on": best.measured_on if best else None,
        "run_id": best.run_id if best else None,
        "source": best.source if best else None,
    }


def ranking(found: Ranking, order: str, as_json: bool) -> None:
    rows = found.rows
    if as_json:
        counts: dict[str, Any] = {"ranked": found.ranked, "in_inventory": found.machines}
        if order == "gflops-per-watt":
            counts["not_ranked_below_the_wall"] = [machine_json(r) for r in found.apart]
        return document({"machines": [machine_json(r) for r in rows], **counts})
    columns = [("#", "right"), ("machine", "left"), ("Rmax", "right"), ("Rpeak", "right"), ("of peak", "right")]
    columns += [("GF/W", "right"), ("standing", "right")]
    cells = [
        [
            str(place),
            f"{row.name[:60]} ({row.organisation[:40]})",
            rate(row.rmax) if row.rmax else "-",
            rate(row.rpeak) if row.rpeak else "-",
            percent(row.of_rpeak) if row.of_rpeak else "-",
            (f"{row.flops_per_watt / 1e9:.3f}" + ("*" if row.cover else "")) if row.flops_per_watt else "-",
            row.best.standing if row.best else "-",
        ]
        for place, row in enumerate(rows, start=1)
    ]
    _table(f"Machines by {order}", columns, cells)
    for row in [r for r in rows if r.cover and r.flops_per_watt]:
        click.echo(f"* {row.name[:60]}: power of {row.cover}, not at the wall")
    for row in found.apart:
        per_watt = f"{(row.flops_per_watt or 0) / 1e9:.3f} GFLOPS/W"
        click.echo(
            f"not ranked: {row.name[:60]} ({row.organisation[:40]}), {per_watt} by the power of {row.cover}, not at the wall"
        )
    click.echo(f"{len(rows)} of {found.ranked} with that figure, {found.machines} in the inventory")


def summary(found: Summary, grouping: str, published: list[SectorTable], as_json: bool) -> None:
    if as_json:
        return document(
            {
                "by": grouping,
                "groups": [_group_json(g, found.total) for g in found.groups],
                "total": _group_json(found.total, found.total),
                "planned": _group_json(found.planned, found.planned),
                "retired": _group_json(found.retired, found.retired),
                "not_counted": _group_json(found.small, found.small),
                "published": [t.as_json() for t in published],
                "notes": found.notes,
            }
        )
    columns = [(grouping, "left"), ("org.", "right"), ("FP64 TFLOPS", "right"), ("FP32 TFLOPS", "right")]
    columns += [("Rmax TFLOPS", "right"), ("verified", "right")]
    _table(
        f"Computing power by {grouping} (Rpeak, and Rmax where measured)",
        columns,
        [_group_cells(g, found.total) for g in [*found.groups, found.total]],
    )
    for note in found.notes:
        click.echo(note)
    for table in published:
        _published(table)


def _group_cells(group: Group, total: Group) -> list[str]:
    def with_share(part: float, whole: float) -> str:
        return f"{part / 1e12:,.2f} ({100 * part / whole:.2f}%)" if whole else "-"

    return [
        group.name,
        str(len(group.organisations)),
        with_share(group.fp64, total.fp64),
        with_share(group.fp32, total.fp32),
        f"{group.rmax / 1e12:,.2f}" if group.measured else "-",
        f"{group.verified}/{group.machines}",
    ]


def _group_json(group: Group, total: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "organisations": len(group.organisations),
        "machines": group.machines,
        "measured": group.measured,
        "verified": group.verified,
        "fp64_flops": group.fp64,
        "fp64_share": group.fp64 / total.fp64 if total.fp64 else None,
        "fp32_flops": group.fp32,
        "fp32_share": group.fp32 / total.fp32 if total.fp32 else None,
        "rmax_flops": group.rmax,
    }


def _published(table: SectorTable) -> None:
    columns = [("sector", "left"), ("org.", "right"), ("FP64 TFLOPS", "right"), ("FP32 TFLOPS", "right")]

    def cells(label: str, counted: Any, totals: dict[str, Any], sums: dict[str, float]) -> list[str]:
        shown = []
        for name in ("fp64_total", "fp32_total"):
            value = getattr(totals[name], "value", totals[name])
            shown.append(f"{value:,.2f} ({100 * value / sums[name]:.2f}%)" if value is not None and sums[name] else "-")
        return [label, f"{counted.value:,.0f}" if counted else "-", *shown]

    rows = [cells(r.label, r.counted, r.totals, table.sums) for r in table.parts]
    rows.append(cells("sum, recomputed", None, table.sums, table.sums))
    if table.total:
        rows.append(cells(f"{table.total.label}, as printed", table.total.counted, table.total.totals, table.sums))
    _table(f"Published: {table.title} (shares recomputed)", columns, rows)


def history(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return document(found)
    owner, newest = found["organisation"][-1], found["versions"][-1]
    click.echo(f"{newest['name']} ({owner['name']}, {owner['sector'] or 'sector not stated'})")
    for version in found["versions"]:
        facts = {
            name: value
            for name, value in version.items()
            if value is not None and name not in ("id", "machine_id", "version", "document_id", *_ORIGIN)
        }
        click.echo(f"version {version['version']}, {_origin(version)}")
        click.echo("    " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    for what, figure in (("peaks", "flops"), ("measurements", "rmax_flops")):
        for row in found[what]:
            value = rate(row[figure]) if row[figure] else "withdrawn"
            mark = f" (corrected by {row['corrected_by']})" if row["corrected_by"] else ""
            kind = f"peak {row['id']}" if what == "peaks" else f"{row['standing']} Rmax {row['id']}"
            click.echo(f"{kind}: {value} {row['precision']}{mark}, {_origin(row)}")
            if row.get("power_w"):
                seen = row["power_cover"] or "what its source says"
                click.echo(f"    power {row['power_w'] / 1e3:.4g} kW, of {seen}")
            if row.get("unverified"):
                click.echo(f"    not verified: {row['unverified']}")


_ORIGIN = ("source", "query_date", "remarks", "reason", "entered_utc")


def _origin(row: dict[str, Any]) -> str:
    parts = [f"entered {row['entered_utc'][:10]}", f"from {row['source']}"]
    parts += [f"looked up {row['query_date']}"] if row["query_date"] else []
    parts += [f"because: {row['reason']}"] if row["reason"] else []
    parts += [f"remarks: {row['remarks']}"] if row["remarks"] else []
    return ", ".join(parts)


def imported(found: list[tuple[Import, Imported | None]], as_json: bool) -> None:
    """`None` for a dry run."""
    if as_json:
        return document({"imports": [_import_json(read, done) for read, done in found]})
    for read, done in found:
        rows = len(read.entries) or len(read.sectors)
        what = "would enter" if done is None else "entered" if done.new else "already imported, nothing entered of"
        click.echo(f"{read.path}: form {read.form}, {what} {rows} rows")
        for note in read.notes:
            click.echo(f"    repaired: {note}")
        for row in read.unreadable:
            click.echo(f"    unreadable: line {row.line} ({row.label}): {row.reason}")


def _import_json(read: Import, done: Imported | None) -> dict[str, Any]:
    return {
        "file": str(read.path),
        "form": read.form,
        "edition": read.edition,
        "rows": len(read.entries) or len(read.sectors),
        "entered": done.rows if done else 0,
        "already_imported": bool(done and not done.new),
        "repaired": read.notes,
        "unreadable": [{"line": r.line, "label": r.label, "reason": r.reason} for r in read.unreadable],
    }


def exported(paths: list[tuple[Path, int]], as_json: bool) -> None:
    if as_json:
        return document({"exports": [{"file": str(path), "machines": rows} for path, rows in paths]})
    for path, rows in paths:
        click.echo(f"{path}: {rows} machines")


def findings(found: list[Finding], as_json: bool) -> None:
    if as_json:
        return document({"findings": [f.as_json() for f in found]})
    for number, finding in enumerate(found, start=1):
        click.echo(f"{number}. {finding.gravity}: {finding.message}")
        for cell in finding.cells:
            click.echo(f"     {cell.document}, {cell.row}, column {cell.column!r}: {cell.text}")
        click.echo(f"     apart: {finding.apart}")
        click.echo(f"     likely: {finding.cause}")
    click.echo(f"{len(found)} finding{'s' if len(found) != 1 else ''}; nothing was changed")
