"""flopbench energy: join external meters to a run that is over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flopbench.errors import BadInput

if TYPE_CHECKING:
    from flopbench.results import Record

_PATH = click.Path(path_type=Path)


@click.group("energy")
def command() -> None:
    """Energy of runs from meters that flopbench does not read itself."""


@command.command("join")
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="[RECORD] METER.csv...")
@click.option(
    "--hpl-log",
    "log",
    type=_PATH,
    metavar="FILE",
    help="Output of an HPL that was not flopbench's, in place of RECORD.",
)
@click.option("--machine", default="", metavar="NAME", help="With --hpl-log: the machine, which a log does not name.")
@click.option("--timezone", "zone_name", metavar="ZONE", help="Of times without one: UTC, +02:00, Europe/Berlin.")
@click.option("--unit", metavar="UNIT", help="Of columns whose name has none: W, kW, J, Wh, kWh ...")
@click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign, where the file leaves it open.")
@click.option("--counter-max", type=float, metavar="VALUE", help="Where the energy counter starts again, in its unit.")
@click.option(
    "--clock-offset", type=float, default=0.0, metavar="SECONDS", help="By how much the meters' clock is ahead."
)
@click.option("--idle", nargs=2, metavar="START END", help="Interval in which the machine was idle, for idle power.")
@click.option("--cover", default="wall", show_default=True, metavar="NAME", help="What the meters see: wall, node ...")
@click.option("--fraction", type=float, metavar="SHARE", help="Share of the machine that they see, 0 to 1.")
@click.option("--nodes", type=click.IntRange(1), metavar="N", help="Compute nodes that they see.")
@click.option(
    "--subsystems",
    type=click.Choice(["compute", "estimated", "all"]),
    help="Compute nodes alone; all, some estimated; all measured.",
)
@click.option("--accuracy", type=float, metavar="PERCENT", help="Largest error of one meter.")
@click.option(
    "--output",
    "folder",
    type=_PATH,
    metavar="DIR",
    help="Where the new record goes; else beside RECORD, or results/ for a log.",
)
def join_command(
    files: tuple[Path, ...],
    log: Path | None,
    machine: str,
    zone_name: str | None,
    unit: str | None,
    decimal: str | None,
    counter_max: float | None,
    clock_offset: float,
    idle: tuple[str, str] | None,
    cover: str,
    fraction: float | None,
    nodes: int | None,
    subsystems: str | None,
    accuracy: float | None,
    folder: Path | None,
) -> int:
    """Join the meters in METER.csv... to the timed repeats of RECORD; writes a new record and leaves RECORD as it is.

    A file holds times and energy counters or power samples, one or many meters, which are summed; docs/energy.md says what is found
    and repaired.
    """
    from flopbench.energy import clocks, external, join, levels

    covers = [name.strip() for name in cover.split(",")]
    if unknown := [name for name in covers if name not in levels.COVERS]:
        raise BadInput(f"--cover has {unknown[0]!r}; allowed: {', '.join(levels.COVERS)}")
    for name, value, limit in (("--fraction", fraction, 1.0), ("--accuracy", accuracy, 100.0)):
        if value is not None and not 0 < value <= limit:
            raise BadInput(f"{name} is {value}; allowed: above 0 to {limit:g}")
    if counter_max is not None and not 0 < counter_max < float("inf"):
        raise BadInput(f"--counter-max is {counter_max}; allowed: above 0")
    if not abs(clock_offset) < 1e9:
        raise BadInput(f"--clock-offset is {clock_offset}; allowed: seconds")
    record, meter_files = _subject(files, log, machine)
    zone = clocks.zone(zone_name) if zone_name else None
    how = external.Reading(unit, zone, decimal, counter_max, clock_offset)
    meters = external.load(meter_files, how)
    interval = _interval(idle, zone) if idle else None
    site = levels.Site(fraction, subsystems, accuracy / 100 if accuracy else None, nodes)
    new = join.joined(record, meters, zone, interval, covers, site, clock_offset)
    place = folder or (files[0].parent if log is None else Path("results"))
    _show(new, len(meters.series), join.write(new, place))
    return 0


def _subject(files: tuple[Path, ...], log: Path | None, machine: str) -> tuple[Record, tuple[Path, ...]]:
    """The record that the meters are joined to, and the meters' files."""
    if log is None:
        from flopbench import results

        if len(files) < 2:
            raise BadInput("give RECORD and at least one METER.csv, or --hpl-log FILE and the meters")
        return results.read(files[0]), files[1:]
    from flopbench.inventory import hpl_log

    runs = hpl_log.read(log, machine)
    good = [run.record for run in runs if run.record is not None]
    if len(runs) > 1 and len(good) > 1:
        raise BadInput(f"{log} has {len(good)} tests; meters are joined to one run: give a log with one")
    if not good:
        raise BadInput(f"{runs[0].where}: {'; '.join(runs[0].reasons)}")
    return good[0], files


def _interval(idle: tuple[str, str], zone) -> tuple[float, float]:
    from flopbench.energy import join

    start, end = (join.moment(text, zone, f"--idle {what}") for text, what in zip(idle, ("START", "END"), strict=True))
    if not start < end:
        raise BadInput(f"--idle ends at {idle[1]}, not after its start {idle[0]}")
    return start, end


def _show(record: Record, meters: int, path: Path) -> None:
    energy = record.energy
    assert energy is not None
    from flopbench.report.summary import wrapped
    from flopbench.units import rate

    efficiency = (
        f"{energy.flops_per_watt / 1e9:.4g} G{record.unit[:-2]}S/W"
        if energy.flops_per_watt
        else f"none: {record.verification.verdict}"
    )
    idle = f"{energy.idle_power_w / 1e3:.6g} kW" if energy.idle_power_w is not None else "not given (--idle START END)"
    rows = [
        ("Rmax", rate(record.rmax_flops, record.unit) if record.rmax_flops else f"none: {record.verification.verdict}"),
        (
            "power",
            f"{energy.mean_power_w / 1e3:.6g} kW, mean over the timed repeats ({len(record.times_s)}), {meters} meters summed",
        ),
        ("energy", f"{energy.joules:.6g} J ({energy.joules / 3.6e6:.6g} kWh)"),
        ("efficiency", efficiency),
        ("idle", idle),
        ("cover", ", ".join(energy.cover)),
        ("level", f"{energy.level} (EE HPC WG)"),
        *(("missing", line) for line in energy.missing),
        *(("warning", line) for line in energy.warnings),
        ("record", str(path)),
    ]
    for label, text in rows:
        for line in wrapped(label, text):
            click.echo(line)
