"""Where a record goes: the machine of that name, and why the record cannot be of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection, select

from flopbench.errors import BadInput
from flopbench.inventory import schema
from flopbench.inventory.model import key
from flopbench.results import Record
from flopbench.units import rate

LONGEST_NAME = 300


def reasons_against(
    connection: Connection, record: Record, machine: str, owner: str | None, explanation: str | None
) -> Iterator[str]:
    """Why the record cannot go to this machine of this organisation; `explanation` is for an Rmax above the entered peak."""
    if not key(machine):
        yield "the record does not name its machine; name it with --machine"
        return
    if owner == "":
        yield "--organisation is blank; give its name"
        return
    for what, name in (("machine", machine), ("organisation", owner or "")):
        if len(name) > LONGEST_NAME:
            yield f"the name of the {what} has {len(name)} characters; allowed: {LONGEST_NAME}"
            return
    try:
        place = find_machine(connection, machine, owner)
    except BadInput as error:
        yield str(error)
        return
    if place is None:
        if owner is None:
            yield (
                f"the inventory does not know the machine {machine!r}; "
                "name its owner with --organisation, or another machine with --machine"
            )
        return
    yield from _mismatches(connection, place, record, explanation)


def find_machine(connection: Connection, name: str, organisation: str | None) -> int | None:
    """The id of the machine, None if there is none. Raises BadInput if several organisations have one of that name."""
    machines, organisations = schema.machines, schema.organisations
    query = (
        select(machines.c.id, organisations.c.key)
        .join(organisations, organisations.c.id == machines.c.organisation_id)
        .where(machines.c.key == key(name))
    )
    if organisation is not None:
        query = query.where(organisations.c.key == key(organisation))
    rows = connection.execute(query).all()
    if len(rows) > 1:
        owners = ", ".join(sorted(row.key for row in rows)[:5])
        raise BadInput(f"{len(rows)} organisations have a machine {name!r} ({owners}); say which with --organisation")
    return int(rows[0].id) if rows else None


def _mismatches(connection: Connection, machine_id: int, record: Record, explanation: str | None) -> Iterator[str]:
    """Where the machine that was measured is plainly not the one in the inventory."""
    versions = schema.machine_versions
    query = select(versions).where(versions.c.machine_id == machine_id).order_by(versions.c.version.desc()).limit(1)
    entered = connection.execute(query).mappings().one()
    cpu = record.machine.cpu
    if entered["cpu"] and cpu.model_name and not _same_model(entered["cpu"], cpu.model_name):
        yield f"machine {entered['name']!r} has the CPU {entered['cpu']!r}, the record was made on {cpu.model_name!r}"
    if entered["cores_per_node"] and cpu.cores and entered["cores_per_node"] != cpu.cores:
        yield (
            f"machine {entered['name']!r} has {entered['cores_per_node']} cores a node, the record's host has {cpu.cores}"
        )
    if entered["gpu"] and record.machine.gpus and not _same_model(entered["gpu"], record.machine.gpus[0].name):
        yield f"machine {entered['name']!r} has the GPU {entered['gpu']!r}, the record's host {record.machine.gpus[0].name!r}"
    peak = current_peak(connection, machine_id, record.precision)
    if peak is not None and record.rmax_flops is not None and record.rmax_flops > peak and not explanation:
        yield (
            f"Rmax {rate(record.rmax_flops, record.unit)} is above the machine's entered Rpeak "
            f"{rate(peak, record.unit)}; say why with --explain TEXT"
        )


def current_peak(connection: Connection, machine_id: int, precision: str) -> float | None:
    """The newest peak of the machine that was not corrected, FLOP/s."""
    peaks, later = schema.peaks, schema.peaks.alias("later")
    query = (
        select(peaks.c.flops)
        .outerjoin(later, later.c.corrects == peaks.c.id)
        .where(peaks.c.machine_id == machine_id, peaks.c.precision == precision, later.c.id.is_(None))
        .order_by(peaks.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def _same_model(entered: str, measured: str) -> bool:
    """Two spellings of one product share a model number ("8480", "a64fx"); without any number to compare, they may be the same."""

    def numbers(text: str) -> set[str]:
        words = re.findall(r"[a-z0-9]+", re.sub(r"\d+(\.\d+)?\s*(ghz|mhz|gb|c)\b|-core", " ", text.casefold()))
        return {w for w in words if re.search(r"\d{2}", w)}

    mine, theirs = numbers(entered), numbers(measured)
    return not mine or not theirs or bool(mine & theirs)
