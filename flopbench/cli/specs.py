"""flopbench specs: the hardware table. List it, show one entry, check a file of it, hold a TOP500 list against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from flopbench.errors import EXIT_FAILED, UnknownName


@click.group("specs")
def command() -> None:
    """The hardware table: sourced peaks of processors and GPUs."""


@command.command("list", short_help="Names in the table.")
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help='One JSON document on stdout: {"cpus": [...], "gpus": [...]}.')
def list_entries(words: tuple[str, ...], as_json: bool) -> None:
    """Names in the table, all or those that hold all WORDS (`flopbench specs list epyc 77`)."""
    from flopbench.specs import table

    specs = table.load()

    def wanted(name: str) -> bool:
        return all(word.lower() in name.lower() for word in words)

    found = {
        "cpus": [n for n in specs.cpus if wanted(n)],
        "gpus": [n for n in specs.gpus if wanted(n)],
        "microarchitectures": [n for n in specs.microarchitectures if wanted(n)],
    }
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for name in found["gpus"]:
        gpu = specs.gpus[name]
        print(f"{name:<40}  {gpu.architecture}")
    for name in found["cpus"]:
        cpu = specs.cpus[name]
        print(f"{name:<36}  {cpu.cores:>3} cores  {cpu.base_ghz:<5g} GHz  {cpu.microarchitecture}")
    for name in found["microarchitectures"]:
        print(f"{name:<40}  {specs.microarchitectures[name].title}"[:79])
    if not any(found.values()):
        raise UnknownName("word in the table", " ".join(words), [], near=[])


@command.command(short_help="One entry, its numbers and its sources.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help='One JSON document on stdout: {"spec": {...}}.')
def show(name: str, as_json: bool) -> None:
    """One entry with its numbers and sources: a processor, a GPU or a core design."""
    from flopbench.specs import names, table
    from flopbench.specs.show import entry_document, entry_text

    specs = table.load()
    text = entry_text(specs, name)
    if text is None:
        known = [*specs.gpus, *specs.cpus, *specs.microarchitectures]
        raise UnknownName("entry", name, known, "`flopbench specs list` shows all", near=names.near(name, known))
    print(json.dumps({"spec": entry_document(specs, name)}, indent=1) if as_json else text)


@command.command(short_help="Check the table, or a file against it.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--json", "as_json", is_flag=True, help='One JSON document on stdout: {"findings": [...], "reading": {...}}.'
)
def validate(file: Path | None, as_json: bool) -> int:
    """Check FILE (TOML) together with the table that is installed, or that table alone. Exit 1 if there are findings.

    Also counts how many of the sources, and of the entries that rest on them, were read and how many were only named.
    """
    from flopbench.specs import provenance
    from flopbench.specs.table import data_files, join, read_file
    from flopbench.specs.validate import findings

    paths = [path for path in data_files() if file is None or path.name != file.name]
    specs = join(read_file(path) for path in [*paths, *([file] if file else [])])
    found = findings(specs)
    if as_json:
        reading = provenance.reading(specs)
        document = {
            "findings": [{"entry": f.entry, "fault": f.fault} for f in found],
            "reading": {"sources": reading.sources, "entries": reading.entries},
        }
        print(json.dumps(document, indent=1))
    else:
        for finding in found:
            print(finding)
        if not found:
            print("\n".join(provenance.lines(provenance.reading(specs))))
        entries = len(specs.cpus) + len(specs.gpus) + len(specs.microarchitectures) + len(specs.gpu_architectures)
        print(f"{entries} entries, {len(specs.sources)} sources, {len(found)} findings")
    return EXIT_FAILED if found else 0


@command.command(short_help="The documents, and how each was read.")
@click.option("--markdown", is_flag=True, help="The counts and one table, as docs/rpeak.md holds them.")
def sources(markdown: bool) -> None:
    """The documents behind the table: what was read of each, and which were only named."""
    from flopbench.specs import provenance, show, table

    specs = table.load()
    if markdown:
        print(provenance.markdown(specs), end="")
        return
    found = provenance.reading(specs)
    for state, ids in found.sources.items():
        for source in (specs.sources[i] for i in ids):
            print(show.labelled([(f"{source.id}  ", f"{state}: {provenance.state_text(source)}")], width=26))
    print("\n".join(provenance.lines(found)))


@command.command(short_help="Recompute the Rpeak of a TOP500 list.")
@click.argument("list_file", metavar="LIST", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def audit(list_file: Path, as_json: bool) -> None:
    """Recompute Rpeak of every system of a TOP500 LIST (CSV or XLSX) and name the likely cause where it differs."""
    from flopbench.inventory.exchange import grid
    from flopbench.specs import show as view
    from flopbench.specs import table, top500
    from flopbench.specs.audit import audit as hold_against

    sheet = grid.read_grid(list_file, grid.read_bytes(list_file))
    result = hold_against(top500.systems([row.cells for row in sheet.lines], str(list_file)), table.load())
    if as_json:
        document: dict[str, Any] = {"audit": view.audit_document(result)}
        print(json.dumps(document, indent=1, ensure_ascii=False))
        return
    for line in result.lines:
        if line.outcome not in ("agrees", "accelerator"):
            print(view.audit_line(line))
    print(view.audit_summary(result))
