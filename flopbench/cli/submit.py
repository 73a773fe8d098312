"""flopbench submit: file Results into the inventory, or the output of a foreign HPL, or what waits in the queue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flopbench.errors import EXIT_BAD_INPUT, BadInput, Unreachable

if TYPE_CHECKING:
    from flopbench.inventory.submit import Outcome, Submission
    from flopbench.results import Record


@click.command()
@click.argument("records", nargs=-1, type=click.Path(path_type=Path), metavar="RECORD...")
@click.option(
    "--inventory", "location", metavar="URL", help="SQLite file or postgresql:// URL; else $FLOPBENCH_INVENTORY."
)
@click.option(
    "--organisation", metavar="NAME", help="Owner of the machine; needed when the inventory does not know it."
)
@click.option("--machine", metavar="NAME", help="Name of the machine; else the host name in the record.")
@click.option("--explain", "explanation", metavar="TEXT", help="Why Rmax is above Rpeak; kept as a remark.")
@click.option(
    "--hpl-log",
    "log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Output of an HPL that was not flopbench's.",
)
@click.option("--pending", is_flag=True, help="File what waits in the queue.")
@click.option("--dry-run", is_flag=True, help="Check and show, file nothing.")
@click.option("--keep-going", is_flag=True, help="File the good ones although others are refused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    records: tuple[Path, ...],
    location: str | None,
    organisation: str | None,
    machine: str | None,
    explanation: str | None,
    log: Path | None,
    pending: bool,
    dry_run: bool,
    keep_going: bool,
    as_json: bool,
) -> int:
    """File Results into the inventory: checked again, shown, filed in one transaction; a run is filed once.

    What is refused says why and nothing is filed (exit 2). If the inventory cannot be reached, the submission waits in a queue.
    """
    if sum((bool(records), log is not None, pending)) != 1:
        raise BadInput("give record files, or --hpl-log FILE, or --pending: one of the three")
    from flopbench.inventory.store import default_location

    where = location or default_location()
    if pending:
        outcomes = _send_waiting(location, dry_run)
    else:
        refused: list[Outcome] = []
        if log is not None:
            submissions, refused = _from_log(log, organisation, machine, explanation)
        else:
            submissions, refused = _from_records(records, organisation, machine, explanation)
        outcomes = _send(submissions, refused, where, dry_run, keep_going)
    _show(outcomes, as_json)
    return EXIT_BAD_INPUT if any(o.refused for o in outcomes) else 0


def _from_records(
    paths: tuple[Path, ...], organisation: str | None, machine: str | None, explanation: str | None
) -> tuple[list[Submission], list[Outcome]]:
    from flopbench import results
    from flopbench.inventory.submit import Outcome, Submission

    submissions, refused = [], []
    for path in paths:
        try:
            record = results.read(path)
            submissions.append(
                Submission(record, str(path), organisation, machine, explanation, unverified=_unverified(record))
            )
        except BadInput as error:
            refused.append(Outcome(str(path), "", "refused", "unreadable", (str(error),)))
    return submissions, refused


def _unverified(record: Record) -> tuple[str, ...]:
    """What a record that was read from a log says of itself; one of flopbench's own runs was checked."""
    mark = "not verified: "
    said = record.environment.warnings if record.foreign is not None else []
    return tuple(warning.removeprefix(mark) for warning in said if warning.startswith(mark))


def _from_log(
    log: Path, organisation: str | None, machine: str | None, explanation: str | None
) -> tuple[list[Submission], list[Outcome]]:
    from flopbench.inventory import hpl_log
    from flopbench.inventory.submit import Outcome, Submission

    if machine is None:
        raise BadInput(
            "an HPL log does not name its machine; name it with --machine (and its owner with --organisation)"
        )
    submissions, refused = [], []
    for run in hpl_log.read(log, machine):
        if run.record is None:
            refused.append(Outcome(run.where, "", "refused", "a foreign run", run.reasons))
        else:
            submissions.append(
                Submission(run.record, run.where, organisation, machine, explanation, unverified=run.unverified)
            )
    return submissions, refused


def _send(
    submissions: list[Submission], refused: list[Outcome], location: str, dry_run: bool, keep_going: bool
) -> list[Outcome]:
    """File them; keep them in the queue, and raise Unreachable, if the inventory does not answer."""
    from flopbench.inventory import pending
    from flopbench.inventory.store import Inventory
    from flopbench.inventory.submit import submit, utc

    if not submissions:
        return refused
    try:
        with Inventory(location) as inventory:
            hold = bool(refused) and not keep_going
            return refused + submit(inventory, submissions, utc(), dry_run, keep_going, hold)
    except Unreachable as error:
        _show(refused, False)
        if dry_run:
            raise
        folder = pending.default_folder()
        for submission in submissions:
            pending.keep(submission, folder, location)
        raise Unreachable(
            f"{error}; {len(submissions)} kept in {folder}, send later with: flopbench submit --pending"
        ) from error


def _send_waiting(location: str | None, dry_run: bool) -> list[Outcome]:
    """File what waits, each for the inventory it was meant for (or `location`); what was filed leaves the queue."""
    from flopbench.inventory import pending
    from flopbench.inventory.store import Inventory
    from flopbench.inventory.submit import submit, utc

    outcomes = []
    for path, meant, submission in pending.waiting(pending.default_folder()):
        with Inventory(location or meant) as inventory:
            (outcome,) = submit(inventory, [submission], utc(), dry_run)
        if not dry_run and not outcome.refused:
            path.unlink(missing_ok=True)
        outcomes.append(outcome)
    if not outcomes:
        click.echo("nothing waits in the queue", err=True)
    return outcomes


def _show(outcomes: list[Outcome], as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "file": o.where,
                "run_id": o.run_id or None,
                "outcome": o.what,
                "summary": o.summary,
                "reasons": list(o.reasons),
                "unverified": list(o.unverified),
            }
            for o in outcomes
        ]
        click.echo(json.dumps({"submissions": rows}, ensure_ascii=False, indent=1))
        return
    for outcome in outcomes:
        if outcome.refused:
            for reason in outcome.reasons:
                print(f"refused: {outcome.where}: {reason}", file=sys.stderr)
            continue
        click.echo(f"{outcome.what}: {outcome.summary}")
        click.echo(f"    run {outcome.run_id} from {outcome.where}")
        for reason in outcome.reasons:
            click.echo(f"    {reason}")
        for what in outcome.unverified:
            click.echo(f"    not verified: {what}")
