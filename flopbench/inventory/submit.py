"""File Results: check again, show what will be filed, file it in one transaction; idempotent by run id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from flopbench.errors import BadInput
from flopbench.inventory import checks, filed, schema
from flopbench.inventory.entries import Entering
from flopbench.inventory.exchange.grid import clean
from flopbench.inventory.model import MachineFacts, MeasurementFacts, OrganisationFacts, PeakFacts, Provenance, key
from flopbench.inventory.store import Inventory
from flopbench.results import Record, to_document
from flopbench.units import percent, rate

LONGEST_NAME = 300


@dataclass(frozen=True)
class Submission:
    """One record on its way in. `where` names it in messages; `unverified` is set for the output of foreign programs."""

    record: Record
    where: str
    organisation: str | None = None
    machine: str | None = None
    explanation: str | None = None
    unverified: tuple[str, ...] = ()

    @property
    def machine_name(self) -> str:
        return clean(self.machine or self.record.machine.hostname)

    @property
    def owner(self) -> str | None:
        """The organisation's name without control characters; None if it was not given."""
        return clean(self.organisation) if self.organisation is not None else None

    @property
    def standing(self) -> str:
        return "verified" if self.record.foreign is None else "foreign"


@dataclass(frozen=True)
class Outcome:
    """What became of a submission: filed, already there, would be filed (dry run), or refused with its reasons."""

    where: str
    run_id: str
    what: str  # filed | already filed | would be filed | refused | not filed
    summary: str
    reasons: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        return self.what == "refused"


def submit(
    inventory: Inventory,
    submissions: Sequence[Submission],
    now: datetime,
    dry_run: bool = False,
    keep_going: bool = False,
    hold: bool = False,
) -> list[Outcome]:
    """Check and file all submissions in one transaction. One refusal holds back all, unless `keep_going`.

    `hold` says that something that belongs to these submissions was refused before it came here.

    Raises Unreachable, BadInput (no such schema).
    """
    inventory.check_schema()
    try:
        return _submit(inventory, submissions, now, dry_run, keep_going, hold)
    except (
        IntegrityError
    ):  # on PostgreSQL another process filed the same run between our look and our insert: look again
        return _submit(inventory, submissions, now, dry_run, keep_going, hold)


def _submit(
    inventory: Inventory, submissions: Sequence[Submission], now: datetime, dry_run: bool, keep_going: bool, hold: bool
) -> list[Outcome]:
    with inventory.writing() as connection:
        judged = [(s, _judge(connection, s, now)) for s in submissions]
        hold = hold or (any(o.refused for _, o in judged) and not keep_going)
        outcomes = []
        seen: set[str] = set()
        for submission, outcome in judged:
            if outcome.what == "would be filed" and not dry_run:
                if hold:
                    outcome = _as(outcome, "not filed", ("another record was refused; --keep-going files the others",))
                else:
                    if outcome.run_id in seen:  # another record of this run came before it in the same command
                        outcome = _judge(connection, submission, now)
                    if outcome.what == "would be filed":
                        _file(connection, submission, now)
                        outcome = _as(outcome, "filed")
            seen.add(outcome.run_id)
            outcomes.append(outcome)
    return outcomes


def _judge(connection: Connection, submission: Submission, now: datetime) -> Outcome:
    record = submission.record
    summary = _summary(submission)
    outcome = Outcome(submission.where, record.run_id, "would be filed", summary, (), submission.unverified)
    if record.foreign:
        outcome = _as(
            outcome, outcome.what, (f"foreign ({record.foreign}): listed, never ranked as verified by flopbench",)
        )
    known = filed.standing(connection, record)
    if known is not None and known.what != "adds energy":
        return _as(outcome, known.what, (known.reason,))
    reasons = [] if record.foreign else checks.reasons_against(record, now, submission.explanation)
    reasons += _place_reasons(connection, submission)
    if known is not None and not reasons:
        if find_machine(connection, submission.machine_name, submission.owner) != known.machine_id:
            reasons.append(f"run {record.run_id} is filed for another machine; name that with --machine")
        outcome = _as(outcome, outcome.what, (*outcome.reasons, known.reason))
    return _as(outcome, "refused", tuple(reasons)) if reasons else outcome


def _summary(submission: Submission) -> str:
    """What would be filed, on one line."""
    record, problem = submission.record, submission.record.problem
    parts = [
        f"Rmax {rate(record.rmax_flops, record.unit) if record.rmax_flops else 'none'}",
        f"{record.routine} {record.precision} {record.verification.verdict}",
        f"n {problem.n}"
        + (f" nb {problem.nb}" if problem.nb else "")
        + (f" {problem.p}x{problem.q}" if problem.p else ""),
    ]
    if record.rpeak is not None and record.rpeak.flops > 0 and record.rmax_flops:
        parts.append(f"{percent(record.rmax_flops / record.rpeak.flops)} of Rpeak")
    if record.energy is not None:
        parts.append(f"{record.energy.mean_power_w / 1e3:.4g} kW ({record.energy.level})")
    parts.append(record.time_start_utc)
    parts.append(f"{submission.owner or 'organisation as known'} / {submission.machine_name}")
    return ", ".join(parts)


def _place_reasons(connection: Connection, submission: Submission) -> Iterator[str]:
    """Why the record cannot go to this organisation and machine."""
    if not key(submission.machine_name):
        yield "the record does not name its machine; name it with --machine"
        return
    if submission.owner == "":
        yield "--organisation is blank; give its name"
        return
    for what, name in (("machine", submission.machine_name), ("organisation", submission.owner or "")):
        if len(name) > LONGEST_NAME:
            yield f"the name of the {what} has {len(name)} characters; allowed: {LONGEST_NAME}"
            return
    try:
        place = find_machine(connection, submission.machine_name, submission.owner)
    except BadInput as error:
        yield str(error)
        return
    if place is None:
        if submission.owner is None:
            yield (
                f"the inventory does not know the machine {submission.machine_name!r}; "
                "name its owner with --organisation, or another machine with --machine"
            )
        return
    yield from _mismatches(connection, place, submission)


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


def _mismatches(connection: Connection, machine_id: int, submission: Submission) -> Iterator[str]:
    """Where the machine that was measured is plainly not the one in the inventory."""
    versions = schema.machine_versions
    query = select(versions).where(versions.c.machine_id == machine_id).order_by(versions.c.version.desc()).limit(1)
    entered = connection.execute(query).mappings().one()
    record = submission.record
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
    if peak is not None and record.rmax_flops is not None and record.rmax_flops > peak and not submission.explanation:
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


def _file(connection: Connection, submission: Submission, now: datetime) -> None:
    record = submission.record
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    by = f"flopbench run {record.run_id}" if record.foreign is None else f"{record.foreign}: {submission.where}"
    known = filed.standing(connection, record)
    reason = "energy joined to the run after it was filed; nothing else differs" if known else None
    level = record.energy and f"power: {record.energy.level}"
    remarks = "; ".join(filter(None, [submission.explanation, level]))
    entering = Entering(connection, Provenance(by, stamp[:10], remarks or None, reason), stamp)
    place = find_machine(connection, submission.machine_name, submission.owner)
    if place is None:
        organisation = entering.organisation(OrganisationFacts(str(submission.owner)))
        place = entering.machine(organisation, _machine_facts(submission))
        if record.rpeak is not None and record.rpeak.flops > 0:
            peak = PeakFacts(
                record.precision, record.rpeak.flops, record.rpeak.convention, record.rpeak.formula or record.rpeak.spec
            )
            entering.peak(place, peak)
    facts = _measurement(submission)
    if known is None:
        entering.measurement(place, facts)
    else:
        entering.measurement(place, replace(facts, run_id=filed.row_run_id(record)), corrects=known.row_id)


def _machine_facts(submission: Submission) -> MachineFacts:
    found = submission.record.machine
    foreign = submission.record.foreign is not None
    return MachineFacts(
        name=submission.machine_name,
        cpu=found.cpu.model_name,
        cpu_count=found.cpu.sockets,
        gpu=found.gpus[0].name if found.gpus else None,
        gpu_count=len(found.gpus) or None,
        cores_per_node=found.cpu.cores,
        memory_bytes=float(found.memory.total_bytes) if found.memory else None,
        interconnect=", ".join(sorted({n.kind for n in found.network if n.kind != "unknown"})) or None,
        os=None if foreign else found.os,
    )


def _measurement(submission: Submission) -> MeasurementFacts:
    record = submission.record
    energy = record.energy
    return MeasurementFacts(
        standing=submission.standing,
        routine=record.routine,
        precision=record.precision,
        rmax_flops=record.rmax_flops,
        rpeak_flops=record.rpeak.flops if record.rpeak else None,
        run_id=record.run_id,
        kernel=record.kernel,
        n=record.problem.n,
        nb=record.problem.nb,
        p=record.problem.p,
        q=record.problem.q,
        verdict=record.verification.verdict,
        measured_on=record.time_start_utc,
        power_w=energy.mean_power_w if energy else None,
        flops_per_watt=energy.flops_per_watt if energy else None,
        content_sha256=record.content_sha256,
        unverified="; ".join(submission.unverified) or None,
        record=json.dumps(to_document(record), ensure_ascii=False, separators=(",", ":")),
    )


def _as(outcome: Outcome, what: str, reasons: tuple[str, ...] = ()) -> Outcome:
    return replace(outcome, what=what, reasons=reasons or outcome.reasons)


def utc() -> datetime:
    """Now, as the checks want it."""
    return datetime.now(UTC)
