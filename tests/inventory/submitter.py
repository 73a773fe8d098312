"""One process of the crash test: submits the records that are numbered for it, and acknowledges each on a line of its own file.

Run as: python submitter.py LOCATION RECORDS FIRST STEP ACKNOWLEDGED
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from flopbench import results
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit


def main(location: str, folder: str, first: int, step: int, acknowledged: str) -> None:
    paths = sorted(Path(folder).glob("*.json"))[first::step]
    known = set(Path(acknowledged).read_text().split()) if Path(acknowledged).exists() else set()
    with Inventory(location) as inventory, open(acknowledged, "a") as out:
        for path in paths:
            record = results.read(path)
            if record.run_id in known:
                continue
            submission = Submission(record, str(path), f"owner {first % 3}", f"machine {first % 5}")
            (outcome,) = submit(inventory, [submission], datetime(2026, 11, 3, tzinfo=UTC))
            assert outcome.what in ("filed", "already filed"), outcome
            out.write(record.run_id + "\n")
            out.flush()
            os.fsync(out.fileno())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
