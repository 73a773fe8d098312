"""Where a report goes: the terminal, a page, a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flopbench.errors import CannotWrite
from flopbench.report.assemble import assemble, charts
from flopbench.results import Record, write_atomically


def terminal(records: Sequence[Record]) -> None:
    """Tables on stdout."""
    from rich.console import Console

    from flopbench.report.terminal import print_report

    print_report(assemble(records), Console())


def markdown(records: Sequence[Record]) -> None:
    """Markdown on stdout."""
    from flopbench.report.markdown import to_markdown

    sys.stdout.write(to_markdown(assemble(records)))


def require_writable(html_file: Path | None, plot_file: Path | None) -> None:
    """Before minutes of measuring: could these be written at all? Raises BadInput, NotPossible, CannotWrite."""
    for path in (html_file, plot_file):
        if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise CannotWrite(f"cannot write {path}: it needs to be a file in a folder that exists and can be written")
    if plot_file is not None:
        from flopbench.report.plots import require

        require(plot_file)


def files(records: Sequence[Record], html_file: Path | None, plot_file: Path | None) -> list[Path]:
    """Write the page and the picture that were asked for; which were written. Raises CannotWrite, BadInput, NotPossible."""
    written = []
    if html_file is not None:
        from flopbench.report.html import to_html

        try:
            write_atomically(html_file, to_html(assemble(records)))
        except OSError as error:
            raise CannotWrite(f"cannot write the page to {html_file}: {error.strerror or error}") from error
        written.append(html_file)
    if plot_file is not None:
        from flopbench.report.plots import save

        save(charts(records), assemble(records).title, plot_file)
        written.append(plot_file)
    return written
