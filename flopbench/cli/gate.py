"""flopbench gate: base and head measured side by side, in pairs, in this job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flopbench.cli.comparison_output import output_options


@click.command("gate")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Metrics, sides and rules in TOML; see configs/ci.toml."
)
@click.option(
    "--base", "revision", metavar="REV", help="Base: this git revision, unpacked into an environment of its own."
)
@click.option("--repository", type=click.Path(path_type=Path), default=".", help="Where --base REV is looked up. [.]")
@click.option("--base-python", help="Base: the flopbench of this Python.")
@click.option("--head-python", help="Head: the flopbench of this Python. [this one]")
@click.option("--base-kernel", help="Base: this kernel, where the metrics leave the choice.")
@click.option("--head-kernel", help="Head: this kernel.")
@click.option("--threshold", type=float, help="The slow-down that counts, as a fraction. [0.10]")
@click.option("--budget", type=float, help="Seconds; no pair is begun that would end later. [300]")
@click.option(
    "--allow", multiple=True, metavar="PROPERTY", help="Let base and head differ in this: blas, kernel, n ..."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the shuffled order. [random, and printed]")
@click.option("--output", type=click.Path(path_type=Path), help="Keep all records here, in base/ and head/.")
@click.option("--self-check", is_flag=True, help="A/A: head against itself, once; reports the noise floor.")
@click.option(
    "--noise-floor", type=click.Path(path_type=Path), help="Of a self-check; a threshold below it is refused."
)
@output_options
def command(**options: Any) -> int:
    """Guard against regressions: fresh processes in balanced, shuffled pairs, in turns, a control around each, two looks, a second batch.

    Exit code: 0 no regression, 1 slower or a verification FAILED, 2 an error or an empty leg, 3 inconclusive or contaminated.
    """
    from flopbench.gate.command import GateRequest, run_gate

    output = {name: options.pop(name) for name in ("as_json", "markdown", "junit", "bigger_is_better")}
    request = GateRequest(**options)
    result = run_gate(request, say=lambda line: click.echo(line, err=True))

    from flopbench.cli.comparison_output import show

    show(result.verdicts, result.threshold, **output, **result.more)
    result.refuse()
    return result.exit_code
