"""File Results: check again, show what will be filed, file it in one transaction; idempotent by run id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from flopbench.inventory import checks, filed, places
from flopbench.inventory.entries import Entering
from flopbench.inventory.exchange.grid import clean
from flopbench.inventory.model import MachineFacts, MeasurementFacts, OrganisationFacts, PeakFacts, Provenance, cover
from flopbench.inventory.store import Collision, Inventory
from flopbench.results import Record, to_document
from flopbench.units import percent, rate


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
    except (IntegrityError, Collision):
        # On PostgreSQL another process filed the same run between our look and our insert, or the same machines in another order.
        return _submit(inventory, submissions, now, dry_run, keep_going, hold)


def _submit(
    inventory: Inventory, submissions: Sequence[Submission], now: datetime, dry_run: bool, keep_going: bool, hold: bool
) -> list[Outcome]:
    with inventory.writing() as connection:
        judged = _judge_all(connection, submissions, now)
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


def _judge_all(
    connection: Connection, submissions: Sequence[Submission], now: datetime
) -> list[tuple[Submission, Outcome]]:
    """Each by itself, and against the first record of the same run in the same command."""
    judged = []
    first: dict[str, Record] = {}
    for submission in submissions:
        outcome = _judge(connection, submission, now)
        before = first.setdefault(outcome.run_id, submission.record)
        if not outcome.refused and not filed.one_run(before, submission.record):
            outcome = _as(outcome, "refused", (f"run {outcome.run_id} comes twice, with other content each time",))
        judged.append((submission, outcome))
    return judged


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
    reasons += places.reasons_against(
        connection, submission.record, submission.machine_name, submission.owner, submission.explanation
    )
    if known is not None and not reasons:
        if places.find_machine(connection, submission.machine_name, submission.owner) != known.machine_id:
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
        parts.append(
            f"{record.energy.mean_power_w / 1e3:.4g} kW of {cover(record.energy.cover)} ({record.energy.level})"
        )
    parts.append(record.time_start_utc)
    parts.append(f"{submission.owner or 'organisation as known'} / {submission.machine_name}")
    return ", ".join(parts)


def _file(connection: Connection, submission: Submission, now: datetime) -> None:
    record = submission.record
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    by = f"flopbench run {record.run_id}" if record.foreign is None else f"{record.foreign}: {submission.where}"
    known = filed.standing(connection, record)
    reason = "energy joined to the run after it was filed; nothing else differs" if known else None
    level = record.energy and f"power: {record.energy.level}"
    remarks = "; ".join(filter(None, [submission.explanation, level]))
    entering = Entering(connection, Provenance(by, stamp[:10], remarks or None, reason), stamp)
    place = places.find_machine(connection, submission.machine_name, submission.owner)
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
        power_cover=cover(energy.cover) if energy else None,
        content_sha256=record.content_sha256,
        unverified="; ".join(submission.unverified) or None,
        record=json.dumps(to_document(record), ensure_ascii=False, separators=(",", ":")),
    )


def _as(outcome: Outcome, what: str, reasons: tuple[str, ...] = ()) -> Outcome:
    return replace(outcome, what=what, reasons=reasons or outcome.reasons)


def utc() -> datetime:
    """Now, as the checks want it."""
    return datetime.now(UTC)
