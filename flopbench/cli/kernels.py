"""flopbench kernels: every registered kernel, and why it cannot run here if it cannot."""

from __future__ import annotations

import json

import click


@click.command("kernels")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(as_json: bool) -> int:
    """All kernels that are installed, ours and others', each with what it is or why it cannot run here."""
    import msgspec

    from flopbench.kernel_list import rows
    from flopbench.machine.detect import detect

    found = rows(detect())
    if as_json:
        click.echo(json.dumps({"kernels": msgspec.to_builtins(found)}, indent=1, ensure_ascii=False))
        return 0
    from flopbench.report.machine_text import kernel_lines

    click.echo("\n".join(kernel_lines(found)))
    return 0
