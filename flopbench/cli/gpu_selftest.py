"""flopbench gpu-selftest: what the owner of a GPU runs once, in under ten minutes, and sends back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("gpu-selftest")
@click.option("--gpu", "index", type=click.IntRange(0, 1023), default=0, show_default=True, help="Which GPU, from 0.")
@click.option("--only", default=None, help="Items to run, like 1,2,5-7. [all]")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="results/gpu-selftest",
    show_default=True,
    help="Folder for the document.",
)
@click.option("--json", "as_json", is_flag=True, help="The document on stdout; progress goes to stderr.")
def command(index: int, only: str | None, output: Path, as_json: bool) -> int:
    """Test this machine's GPU and flopbench on it: 17 items, each with a verdict and its numbers.

    The document that it writes says what was found; send it back as evidence.
    """
    from flopbench.cli import stdout
    from flopbench.errors import EXIT_FAILED, EXIT_OK, NotPossible
    from flopbench.gpu import probe
    from flopbench.gpu_selftest import suite
    from flopbench.gpu_selftest.bench import Bench

    numbers = suite.chosen(only)
    reason = probe.why_not()
    if reason:
        raise NotPossible(f"the GPU self-test is not possible here: {reason}")
    from flopbench_kernels.cuda.libraries import CupyLibraries

    with stdout.for_document(as_json):
        document = suite.run(Bench(CupyLibraries, index), numbers, _tell)
    path = suite.write(document, output)
    if as_json:
        click.echo(suite.encode(document).decode())
    counts = document["counts"]
    click.echo(
        f"{document['verdict']}: {counts['PASSED']} passed, {counts['FAILED']} failed, {counts['SKIPPED']} skipped; "
        f"written to {path}",
        err=True,
    )
    return EXIT_FAILED if document["verdict"] == "FAILED" else EXIT_OK


def _tell(entry: dict[str, Any]) -> None:
    click.echo(
        f"{entry['number']:2d} {entry['title']}: {entry['verdict']} ({entry['seconds']:.1f} s) {entry['reason']}",
        err=True,
    )
