"""flopbench compare: base against head, from records that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flopbench.cli.comparison_output import output_options


@click.command("compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@click.option(
    "--threshold", type=float, default=0.10, show_default=True, help="The slow-down that counts, as a fraction."
)
@click.option(
    "--allow",
    multiple=True,
    metavar="PROPERTY",
    help="Let this differ: machine, kernel, blas, n, threads ...; repeatable.",
)
@output_options
def command(base: Path, head: Path, threshold: float, allow: tuple[str, ...], **output: Any) -> int:
    """Compare two records, or two folders of them: per metric the ratio head/base with its interval, and a verdict.

    Exit code: 0 no regression, 1 slower or a verification FAILED, 2 not comparable or bad input, 3 inconclusive or contaminated.
    """
    from flopbench.cli.comparison_output import show
    from flopbench.compare.comparable import check_allowed
    from flopbench.compare.records import compare, load
    from flopbench.compare.verdict import overall_exit_code

    verdicts = compare(load(base), load(head), threshold, check_allowed(allow))
    show(verdicts, threshold, **output)
    return overall_exit_code(verdicts)
