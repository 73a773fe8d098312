"""flopbench report: what records say, for people. From the records alone."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command("report")
@click.argument("records", nargs=-1, required=True, type=_PATH, metavar="RECORD...")
@click.option("--markdown", is_flag=True, help="Print Markdown instead of tables for the terminal.")
@click.option("--html", "html_file", type=_PATH, default=None, help="Write one self-contained page with plots.")
@click.option("--plot", "plot_file", type=_PATH, default=None, help="Write the plots: .png, .svg or .pdf.")
@click.option("--history", is_flag=True, help="Rates over time per machine and metric, with the steps in them.")
def command(
    records: tuple[Path, ...], markdown: bool, html_file: Path | None, plot_file: Path | None, history: bool
) -> int:
    """Tables, plots, choices with reasons and provenance of RECORD..., files or folders of them, of any routine."""
    if history:
        return _history(records, markdown, html_file, plot_file)
    from flopbench.report import write
    from flopbench.report.assemble import read_records

    found = read_records(records)
    written = write.files(found, html_file, plot_file)
    if markdown:
        write.markdown(found)
    elif not written:
        write.terminal(found)
    for path in written:
        click.echo(f"wrote {path}", err=True)
    return 0


def _history(paths: tuple[Path, ...], markdown: bool, html_file: Path | None, plot_file: Path | None) -> int:
    from flopbench.compare.records import load
    from flopbench.errors import BadInput
    from flopbench.report import history

    if html_file is not None:
        raise BadInput("--history has no --html; use --plot FILE, --markdown or the terminal")
    records = {record.run_id: record for path in paths for record in load(path)}
    found = history.history(list(records.values()))
    if plot_file is not None:
        history.plot(found, plot_file)
        click.echo(f"wrote {plot_file}", err=True)
    if markdown:
        history.markdown(found)
    elif plot_file is None:
        history.terminal(found)
    return 0
