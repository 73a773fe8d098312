"""flopbench info: this machine, its entry in the hardware table, Rpeak, measured ceiling, environment."""

from __future__ import annotations

import json

import click


@click.command("info")
@click.option("--measure", is_flag=True, help="Measure the ceiling of each precision: about two seconds on all cores.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(measure: bool, as_json: bool) -> int:
    """What this machine is and what it could reach: cores, limits, BLAS, GPUs, networks, Rpeak and ceiling by precision."""
    import msgspec

    from flopbench.info import gather

    found = gather(measure)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=1, ensure_ascii=False))
        return 0
    from flopbench.report.machine_text import info_lines

    click.echo("\n".join(info_lines(found)))
    return 0
