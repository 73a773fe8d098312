"""flopbench inventory: a group of small commands; each parses, calls one function of flopbench.inventory, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flopbench.errors import EXIT_FAILED, BadInput

_LOCATION = click.option(
    "--inventory", "location", metavar="URL", help="SQLite file or postgresql:// URL; else $FLOPBENCH_INVENTORY."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_SOURCE = [
    click.option("--source", metavar="TEXT", help="Where the figures come from: a URL, a document, a person."),
    click.option("--query-date", metavar="DATE", help="When they were looked up: 2024, 2024-05 or 2024-05-31."),
]


def _with_source(function: Any) -> Any:
    for option in reversed(_SOURCE):
        function = option(function)
    return function


@click.group()
def command() -> None:
    """Organisations, machines and their Rmax: add, import, sum up, audit, export."""


@command.command("init")
@_LOCATION
@_JSON
def init(location: str | None, as_json: bool) -> None:
    """Create the inventory, or bring an older one up to date."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory.store import Inventory

    with Inventory(location) as inventory:
        steps = inventory.init()
        out.init(inventory.name, steps, as_json)


@command.command("add")
@_LOCATION
@click.option("--organisation", required=True, metavar="NAME")
@click.option(
    "--sector", metavar="NAME", help="university, hospital, government, industry, research, other; or in Chinese."
)
@click.option("--tier", metavar="TEXT")
@click.option("--machine", metavar="NAME")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE",
              help="model, cpu, cpu_count, gpu, gpu_count, cores, accelerator_cores, nodes, cores_per_node, memory_bytes, "
              "interconnect, os, use, site_power_kw, status, year, country. May be given again.")  # fmt: skip
@click.option("--rpeak-tflops", type=float, metavar="X")
@click.option("--rmax-tflops", type=float, metavar="X", help="A published Rmax: listed, never ranked as verified.")
@click.option("--precision", default="fp64", show_default=True)
@click.option(
    "--convention", default="as published", show_default=True, help="Clock and unit that a peak was reckoned with."
)
@click.option("--correct-peak", type=int, metavar="ID", help="The peak that --rpeak-tflops corrects, see `show`.")
@click.option("--correct-rmax", type=int, metavar="ID", help="The measurement that --rmax-tflops corrects.")
@click.option("--withdraw", type=int, metavar="ID", help="A measurement that does not count any more.")
@click.option("--reason", metavar="TEXT", help="Why something is corrected; needed for every correction.")
@click.option("--remarks", metavar="TEXT")
@_with_source
@_JSON
def add(location: str | None, as_json: bool, **options: Any) -> None:
    """Enter an organisation, a machine, a peak or a published Rmax, or correct one. Nothing is overwritten."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory.adding import add as enter
    from flopbench.inventory.store import Inventory
    from flopbench.inventory.submit import utc

    with Inventory(location) as inventory:
        out.added(enter(inventory, options, utc()), as_json)


@command.command("list")
@_LOCATION
@click.option("--by", "order", default="rmax", show_default=True, help="rmax, efficiency, gflops-per-watt.")
@click.option("--precision", default="fp64", show_default=True, help="Of the LU rate.")
@click.option("--verified", is_flag=True, help="Only rates that flopbench verified.")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="0 for all.")
@_JSON
def list_machines(location: str | None, order: str, precision: str, verified: bool, limit: int, as_json: bool) -> None:
    """Machines, ranked by Rmax, by Rmax/Rpeak or by GFLOPS per watt."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory import summary
    from flopbench.inventory.store import Inventory

    with Inventory(location).open() as inventory, inventory.reading() as connection:
        ranking = summary.ranking(connection, order, precision, verified, limit or None)
    out.ranking(ranking, order, as_json)


@command.command("show")
@click.argument("machine")
@_LOCATION
@click.option("--organisation", metavar="NAME")
@click.option("--run", is_flag=True, help="MACHINE is the id of a run: print its whole record.")
@_JSON
def show(location: str | None, machine: str, organisation: str | None, run: bool, as_json: bool) -> None:
    """Everything ever entered about a machine: versions, peaks, measurements, corrections and their reasons."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory import history
    from flopbench.inventory.store import Inventory

    with Inventory(location).open() as inventory, inventory.reading() as connection:
        if run:
            out.document(history.record(connection, machine))
        else:
            out.history(history.machine(connection, machine, organisation), as_json)


@command.command("summary")
@_LOCATION
@click.option("--by", "grouping", default="sector", show_default=True, help="sector, organisation, year.")
@_JSON
def summarise(location: str | None, grouping: str, as_json: bool) -> None:
    """FP64 and FP32 TFLOPS, shares and Rmax by sector, organisation or year."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory import published, summary
    from flopbench.inventory.store import Inventory

    with Inventory(location).open() as inventory, inventory.reading() as connection:
        sums = summary.by(connection, grouping)
        tables = published.sector_tables(connection)
    out.summary(sums, grouping, tables, as_json)


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_LOCATION
@_with_source
@click.option("--title", metavar="TEXT", help="What the table is called, for findings: 'table 3.4'.")
@click.option("--edition", metavar="YYYY-MM", help="Of a list; else taken from the file name.")
@click.option("--form", help="national, top500, green500 or sectors; else told by the heading.")
@click.option("--dry-run", is_flag=True, help="Read and report, enter nothing.")
@click.option("--keep-going", is_flag=True, help="Enter the rows that can be read although others cannot.")
@_JSON
def import_files(files: tuple[Path, ...], location: str | None, as_json: bool, **options: Any) -> None:
    """Import CSV, XLSX or XML: the national form, TOP500 and Green500 lists, sector tables. Each file whole or not at all."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory import importing
    from flopbench.inventory.store import Inventory
    from flopbench.inventory.submit import utc

    if options["title"] and len(files) > 1:
        raise BadInput(f"--title names one table, but {len(files)} files are given; import them one by one")
    outcomes = []
    with Inventory(location).open() as inventory:
        for path in files:
            found = importing.read(path, options["form"], options["edition"])
            done = None
            if not options["dry_run"]:
                source = options["source"] or path.name
                done = importing.enter(
                    inventory, found, source, utc(), options["query_date"], options["title"], options["keep_going"]
                )
            if not as_json:
                out.imported([(found, done)], False)
            outcomes.append((found, done))
    if as_json:
        out.imported(outcomes, True)


@command.command("export")
@_LOCATION
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--xlsx", "xlsx_path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--html", "html_path", type=click.Path(path_type=Path), metavar="FILE", help="One page for people, no network."
)
@click.option("--form", default="national", show_default=True, help="national, top500 or green500.")
@click.option("--language", default="zh", show_default=True, help="Of the national form's headings: zh or en.")
@click.option("--full", is_flag=True, help="National form with FP32, sector, status, query date and remarks.")
@_JSON
def export(location: str | None, as_json: bool, **options: Any) -> None:
    """Write the national form or a TOP500 list as CSV or XLSX, or everything as one HTML page."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory import exporting
    from flopbench.inventory.store import Inventory

    with Inventory(location).open() as inventory:
        out.exported(exporting.export(inventory, **options), as_json)


@command.command("validate")
@_LOCATION
@_JSON
def validate(location: str | None, as_json: bool) -> int:
    """Recompute what can be recomputed and print a finding per doubt. Changes nothing; exit 1 if there are findings."""
    from flopbench.cli import inventory_output as out
    from flopbench.inventory.audit import audit
    from flopbench.inventory.store import Inventory

    with Inventory(location).open() as inventory, inventory.reading() as connection:
        findings = audit(connection)
    out.findings(findings, as_json)
    return EXIT_FAILED if findings else 0
