"""Write what the inventory holds: a form as CSV or XLSX, or everything as one HTML page."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sqlalchemy import Connection

from flopbench.errors import BadInput, CannotWrite, UnknownName
from flopbench.inventory import page, summary
from flopbench.inventory.exchange import forms, sheets
from flopbench.inventory.overview import machine_rows
from flopbench.inventory.store import Inventory

FORMS = ("national", "top500", "green500")


def export(
    inventory: Inventory,
    csv_path: Path | None,
    xlsx_path: Path | None,
    html_path: Path | None,
    form: str,
    language: str,
    full: bool,
) -> list[tuple[Path, int]]:
    """Write the files that are asked for; each with the number of machines in it. Raises BadInput, CannotWrite."""
    if not (csv_path or xlsx_path or html_path):
        raise BadInput("give at least one of --csv FILE, --xlsx FILE, --html FILE")
    if form not in FORMS:
        raise UnknownName("form", form, FORMS)
    if language not in forms.LANGUAGES:
        raise UnknownName("language", language, forms.LANGUAGES)
    inventory.check_schema()
    done = []
    with inventory.reading() as connection:
        if csv_path or xlsx_path:
            table, heading_rows, merged = _table(connection, form, language, full)
        if html_path:
            shown = page.contents(connection)
    if csv_path or xlsx_path:
        machines = len(table) - heading_rows
        if csv_path:
            done.append((_write(csv_path, sheets.to_csv(table)), machines))
        if xlsx_path:
            done.append((_write(xlsx_path, sheets.to_xlsx(table, heading_rows, merged)), machines))
    if html_path:
        done.append((_write(html_path, page.render(shown).encode()), len(shown.machines)))
    return done


def _table(
    connection: Connection, form: str, language: str, full: bool
) -> tuple[list[list[sheets.Value]], int, tuple[str, ...]]:
    """The rows, how many of them are heading, and which cells of it are merged."""
    if form == "national":
        return forms.national(machine_rows(connection), language, full), 2, forms.MERGED
    by_rmax = summary.ranking(connection, "rmax").rows
    if form == "top500":
        return forms.top500(by_rmax), 1, ()
    ranks = {row.machine_id: rank for rank, row in enumerate(by_rmax, start=1)}
    return forms.green500(summary.ranking(connection, "gflops-per-watt").rows, ranks), 1, ()


def _write(path: Path, content: bytes) -> Path:
    """Put `content` into `path` at once or not at all."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CannotWrite(f"cannot write {path}: {error.strerror}") from error
    return path
