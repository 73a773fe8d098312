"""Submissions that wait for an inventory that could not be reached: one file each, written at once or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from flopbench.errors import BadInput, CannotWrite
from flopbench.inventory.submit import Submission
from flopbench.results import from_document, to_document, write_atomically

VARIABLE = "FLOPBENCH_PENDING"


def default_folder() -> Path:
    """$FLOPBENCH_PENDING, else a folder among the user's state."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "flopbench" / "pending"


def keep(submission: Submission, folder: Path, location: str) -> Path:
    """Put the submission into the queue for the inventory at `location`; the same run twice is one file. Raises CannotWrite."""
    path = folder / f"{submission.record.content_sha256[:32]}.json"
    document = {
        "inventory": location,
        "where": submission.where,
        "organisation": submission.organisation,
        "machine": submission.machine,
        "explanation": submission.explanation,
        "unverified": list(submission.unverified),
        "record": to_document(submission.record),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        raise CannotWrite(f"cannot keep {submission.where} in the queue {folder}: {error.strerror}") from error
    return path


def waiting(folder: Path) -> Iterator[tuple[Path, str, Submission]]:
    """Each waiting file, the inventory it is for, and what is in it, oldest first. Raises BadInput for a damaged file."""
    paths = sorted(folder.glob("*.json"), key=lambda p: (p.stat().st_mtime, p.name)) if folder.is_dir() else []
    for path in paths:
        try:
            document = json.loads(path.read_bytes())
            submission = Submission(
                record=from_document(document["record"], str(path)),
                where=str(document["where"]),
                organisation=document["organisation"],
                machine=document["machine"],
                explanation=document["explanation"],
                unverified=tuple(document["unverified"]),
            )
            location = str(document["inventory"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise BadInput(
                f"the waiting submission {path} cannot be read ({error}); look at it, then remove it"
            ) from error
        yield path, location, submission
