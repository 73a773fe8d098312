"""How `flopbench compare` and `flopbench gate` print: a table with the reasons, Markdown, or JSON; and their files for CI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from flopbench.compare import export
from flopbench.compare.verdict import MetricVerdict
from flopbench.errors import CannotWrite
from flopbench.results import write_atomically


def output_options(command: Any) -> Any:
    """The options of both commands that say where and how to print."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
        click.option("--markdown", is_flag=True, help="A Markdown table on stdout, for a pull request's comment."),
        click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML to this file."),
        click.option(
            "--bigger-is-better",
            type=click.Path(path_type=Path),
            help="Also write customBiggerIsBetter JSON (github-action-benchmark) to this file.",
        ),
    ):
        command = option(command)
    return command


def show(
    verdicts: list[MetricVerdict],
    threshold: float,
    as_json: bool,
    markdown: bool,
    junit: Path | None,
    bigger_is_better: Path | None,
    **more: Any,
) -> None:
    """Print the comparison and write the files that were asked for. `more` goes into the JSON document."""
    if junit:
        _write(junit, export.junit(verdicts))
    if bigger_is_better:
        _write(bigger_is_better, json.dumps(export.bigger_is_better(verdicts), indent=1, ensure_ascii=False) + "\n")
    if as_json:
        click.echo(json.dumps(export.document(verdicts, threshold, **more), indent=1))
    elif markdown:
        click.echo(export.markdown(verdicts, threshold))
    else:
        _table(verdicts)


def _table(verdicts: list[MetricVerdict]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("metric", "base", "head", "head/base", "noise", "n", "verdict"):
        justify, no_wrap = ("left" if name in ("metric", "verdict") else "right"), name in ("n", "verdict", "noise")
        table.add_column(name, justify=justify, no_wrap=no_wrap)
    for verdict in verdicts:
        table.add_row(*export.cells(verdict))
    Console(soft_wrap=False, highlight=False).print(table)
    for line in export.explanations(verdicts):
        click.echo(line)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}; choose another place") from error
